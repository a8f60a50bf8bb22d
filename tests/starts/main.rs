//! Start chains where optimisation, Pathfinder or annealing led, and hold Pathfinder against posteriors of known moments.

mod annealed;
mod pathfinder;
