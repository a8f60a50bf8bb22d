//! Check run folders from inside.
