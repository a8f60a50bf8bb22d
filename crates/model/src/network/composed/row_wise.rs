//! Evaluate a layer that is written for single rows over lines of rows.

use super::block_layer::{BlockLayer, Pass, Sides, line_rows};
use crate::network::layers::{BackwardRow, BoundLayer};
use crate::simd::Real;
use std::sync::{Arc, Mutex, PoisonError};

/// Rows of a layer, gathered one at a time in f64.
#[derive(Debug)]
pub(crate) struct RowWise {
    layer: Arc<dyn BoundLayer>,
    inputs: usize,
    outputs: usize,
    /// Room for one row, lent to one line at a time.
    rooms: Mutex<Vec<Room>>,
}

/// One row's values.
#[derive(Debug, Default)]
struct Room {
    input: Vec<f64>,
    output: Vec<f64>,
    kept: Vec<f64>,
    d_output: Vec<f64>,
    d_input: Vec<f64>,
}

impl RowWise {
    pub(crate) fn new(layer: Arc<dyn BoundLayer>, inputs: usize, outputs: usize) -> Self {
        Self { layer, inputs, outputs, rooms: Mutex::default() }
    }

    fn borrow(&self) -> Room {
        let lent = self.rooms.lock().unwrap_or_else(PoisonError::into_inner).pop();
        lent.unwrap_or_else(|| Room {
            input: vec![0.0; self.inputs],
            output: vec![0.0; self.outputs],
            kept: vec![0.0; self.layer.num_kept()],
            d_output: vec![0.0; self.outputs],
            d_input: vec![0.0; self.inputs],
        })
    }

    fn give_back(&self, room: Room) {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner).push(room);
    }
}

fn gather<E: Real>(block: &[E], row: usize, values: &mut [f64]) {
    for (value, line) in values.iter_mut().zip(block.chunks_exact(line_rows::<E>())) {
        *value = line[row].to_f64();
    }
}

fn scatter<E: Real>(values: &[f64], row: usize, block: &mut [E]) {
    for (value, line) in values.iter().zip(block.chunks_exact_mut(line_rows::<E>())) {
        line[row] = E::from_f64(*value);
    }
}

impl<E: Real> BlockLayer<E> for RowWise {
    fn reads_output(&self) -> bool {
        true
    }

    fn forward(&self, pass: Pass<'_, E>, input: &[E], output: &mut [E], _kept: &mut [E]) {
        let mut room = self.borrow();
        for row in 0..line_rows::<E>() {
            if row < pass.rows {
                gather(input, row, &mut room.input);
                self.layer.forward(pass.weights, &room.input, &mut room.output, &mut room.kept);
            }
            // The rows after the last are copies of it.
            scatter(&room.output, row, output);
        }
        self.give_back(room);
    }

    fn backward(&self, pass: Pass<'_, E>, sides: Sides<'_, E>) {
        let mut room = self.borrow();
        let mut d_input = sides.d_input;
        for row in 0..line_rows::<E>() {
            if row < pass.rows {
                gather(sides.input, row, &mut room.input);
                // What the forward pass kept is computed again rather than stored for every row.
                self.layer.forward(pass.weights, &room.input, &mut room.output, &mut room.kept);
                gather(sides.d_output, row, &mut room.d_output);
                self.layer.backward(BackwardRow {
                    weights: pass.weights,
                    input: &room.input,
                    output: &room.output,
                    kept: &mut room.kept,
                    d_output: &room.d_output,
                    d_input: &mut room.d_input,
                    d_weights: sides.gradient,
                });
            } else {
                room.d_input.fill(0.0);
            }
            if let Some(d_input) = &mut d_input {
                scatter(&room.d_input, row, d_input);
            }
        }
        self.give_back(room);
    }
}
