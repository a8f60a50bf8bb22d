//! Hold tempered runs to their closed form, and to saying everywhere that they are tempered.

mod caveats;
mod moments;
