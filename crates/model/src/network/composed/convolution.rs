//! Compute a two-dimensional convolution on lines of rows.
//!
//! With rows in vector lanes no image is unrolled: the inputs of a product are found by offsets. Images are copied into a frame of zeros
//! where there is padding. The derivative in the inputs is one convolution of the derivatives, with the kernels turned, for each of
//! the stride's phases: input pixels i with the same (i + padding) mod stride meet the same entries of the kernels.

use super::block_layer::{BlockLayer, Pass, Sides, dispatch, line_rows};
use super::dense::{Gradient, Products};
use super::products::Plan;
use crate::network::layers::Geometry;
use crate::simd::Real;

#[derive(Debug, Clone)]
pub(crate) struct ConvolutionBlock {
    geometry: Geometry,
    forward: Plan,
    /// The frame that inputs are copied into, if there is padding.
    input_frame: Option<Frame>,
    phases: Vec<Phase>,
    /// The frame that derivatives are copied into.
    output_frame: Frame,
}

/// The input pixels of one phase, and the kernel entries that they meet.
#[derive(Debug, Clone)]
struct Phase {
    plan: Plan,
    /// For each tap its weight's place in a kernel that is at [input channel 0], and the same for the next channel one kernel on.
    weights: Vec<usize>,
}

/// Images within larger ones.
#[derive(Debug, Clone)]
struct Frame {
    /// Channels, rows and columns of the image.
    image: [usize; 3],
    /// Rows and columns of the frame.
    size: [usize; 2],
    /// Row and column of the image's first pixel.
    origin: [usize; 2],
}

impl Frame {
    fn len(&self) -> usize {
        self.image[0] * self.size[0] * self.size[1]
    }

    /// Copies images into the frame, whose border stays as it is.
    fn fill<E: Real>(&self, images: &[E], frames: &mut [E]) {
        let line = line_rows::<E>();
        let [_, rows, columns] = self.image;
        for (index, row) in images.chunks_exact(columns * line).enumerate() {
            let (channel, y) = (index / rows, index % rows);
            let at = ((channel * self.size[0] + y + self.origin[0]) * self.size[1] + self.origin[1]) * line;
            frames[at..at + row.len()].copy_from_slice(row);
        }
    }
}

impl ConvolutionBlock {
    pub(crate) fn new(geometry: Geometry) -> Self {
        let Geometry { input: [channels, rows, columns], output: [outputs, high, wide], kernel, stride, padding } = geometry;
        let framed = [rows + 2 * padding[0], columns + 2 * padding[1]];
        let input_frame = (padding != [0, 0]).then_some(Frame { image: geometry.input, size: framed, origin: padding });
        let mut taps = Vec::with_capacity(geometry.taps());
        for channel in 0..channels {
            for k in 0..kernel[0] {
                taps.extend((0..kernel[1]).map(|l| (channel * framed[0] + k) * framed[1] + l));
            }
        }
        let place = |index: usize| (index / wide * stride[0] * framed[1] + index % wide * stride[1], index);
        let places = (0..high * wide).map(place).collect();
        let forward = Plan { taps, places, channels: outputs, channel_stride: high * wide };

        // Derivative pixel a − b meets kernel entry s b + r at the input pixel s a + r − p.
        let reach = [0, 1].map(|side| kernel[side].div_ceil(stride[side]) - 1);
        let size = [0, 1].map(|side| {
            let last_input = (geometry.input[1 + side] - 1 + padding[side]) / stride[side];
            last_input.max(geometry.output[1 + side] - 1) + reach[side] + 1
        });
        let output_frame = Frame { image: geometry.output, size, origin: reach };
        let phases = (0..stride[0] * stride[1])
            .map(|phase| Phase::new(&geometry, &output_frame, [phase / stride[1], phase % stride[1]]))
            .filter(|phase| !phase.plan.places.is_empty())
            .collect();
        Self { geometry, forward, input_frame, phases, output_frame }
    }

    fn framed_inputs(&self) -> usize {
        self.input_frame.as_ref().map_or(0, Frame::len)
    }
}

impl Phase {
    fn new(geometry: &Geometry, frame: &Frame, phase: [usize; 2]) -> Self {
        let Geometry { input: [channels, rows, columns], output: [outputs, ..], kernel, stride, padding } = *geometry;
        let (mut taps, mut weights) = (Vec::new(), Vec::new());
        for output in 0..outputs {
            for (b0, k) in (phase[0]..kernel[0]).step_by(stride[0]).enumerate() {
                for (b1, l) in (phase[1]..kernel[1]).step_by(stride[1]).enumerate() {
                    taps.push((output * frame.size[0] + frame.origin[0] - b0) * frame.size[1] + frame.origin[1] - b1);
                    weights.push((output * channels * kernel[0] + k) * kernel[1] + l);
                }
            }
        }
        let mut places = Vec::new();
        for y in (0..rows).filter(|y| (y + padding[0]) % stride[0] == phase[0]) {
            for x in (0..columns).filter(|x| (x + padding[1]) % stride[1] == phase[1]) {
                let (a0, a1) = ((y + padding[0]) / stride[0], (x + padding[1]) / stride[1]);
                places.push((a0 * frame.size[1] + a1, y * columns + x));
            }
        }
        Self { plan: Plan { taps, places, channels, channel_stride: rows * columns }, weights }
    }
}

impl<E: Real> BlockLayer<E> for ConvolutionBlock {
    fn num_kept(&self) -> usize {
        self.framed_inputs() + self.output_frame.len()
    }

    fn num_packed(&self) -> usize {
        let back: usize = self.phases.iter().map(|phase| phase.plan.num_weights()).sum();
        self.geometry.output[0] + self.forward.num_weights() + back
    }

    fn pack(&self, weights: &[f64], packed: &mut [E]) {
        let (kernels, from) = weights.split_at(self.forward.num_weights());
        let (biases, rest) = packed.split_at_mut(from.len());
        for (to, bias) in biases.iter_mut().zip(from) {
            *to = E::from_f64(*bias);
        }
        let (forward, mut rest) = rest.split_at_mut(kernels.len());
        let taps = self.geometry.taps();
        self.forward.pack(forward, |channel, tap| kernels[channel * taps + tap]);
        let kernel = self.geometry.kernel[0] * self.geometry.kernel[1];
        for phase in &self.phases {
            let (here, after) = rest.split_at_mut(phase.plan.num_weights());
            phase.plan.pack(here, |channel, tap| kernels[phase.weights[tap] + channel * kernel]);
            rest = after;
        }
    }

    fn forward(&self, pass: Pass<'_, E>, input: &[E], output: &mut [E], kept: &mut [E]) {
        let (biases, packed) = pass.packed.split_at(self.geometry.output[0]);
        let source = match &self.input_frame {
            Some(frame) => {
                frame.fill(input, kept);
                &kept[..frame.len() * line_rows::<E>()]
            }
            None => input,
        };
        dispatch(pass.arch, Products { plan: &self.forward, packed, biases: Some(biases), source, target: output });
    }

    fn backward(&self, pass: Pass<'_, E>, sides: Sides<'_, E>) {
        let Sides { input, kept, d_output, d_input, gradient, .. } = sides;
        let (framed, derivatives) = kept.split_at_mut(self.framed_inputs() * line_rows::<E>());
        let source = if self.input_frame.is_some() { framed } else { input };
        dispatch(pass.arch, Gradient { plan: &self.forward, lines: 1, source, derivatives: d_output, gradient });
        let Some(target) = d_input else { return };
        self.output_frame.fill(d_output, derivatives);
        let mut packed = &pass.packed[self.geometry.output[0] + self.forward.num_weights()..];
        for phase in &self.phases {
            let (plan, source, target) = (&phase.plan, &*derivatives, &mut *target);
            dispatch(pass.arch, Products { plan, packed, biases: None, source, target });
            packed = &packed[plan.num_weights()..];
        }
    }
}
