//! Check metrics: momenta against velocities, storage, and refusals.

use super::*;
use ergodic_model::{Purpose, stream};

fn dense() -> Metric {
    Metric::dense(DMatrix::from_row_slice(3, 3, &[4.0, 1.0, 0.5, 1.0, 2.0, -0.3, 0.5, -0.3, 1.0])).unwrap()
}

/// The scales, directions and eigenvalues of a low-rank metric in three coordinates, and the same M⁻¹ written out.
fn low_rank() -> (Metric, DMatrix<f64>) {
    let (scales, eigenvalues) = (vec![2.0, 0.5, 1.5], vec![9.0, 0.1]);
    let directions = vec![0.6, 0.8, 0.0, -0.48, 0.36, 0.8];
    let mut matrix = DMatrix::<f64>::identity(3, 3);
    for (direction, eigenvalue) in directions.chunks(3).zip(&eigenvalues) {
        for (i, u) in direction.iter().enumerate() {
            for (j, v) in direction.iter().enumerate() {
                matrix[(i, j)] += (eigenvalue - 1.0) * u * v;
            }
        }
    }
    let matrix = DMatrix::from_fn(3, 3, |i, j| scales[i] * matrix[(i, j)] * scales[j]);
    (Metric::low_rank(scales, directions, eigenvalues).unwrap(), matrix)
}

fn all() -> [Metric; 4] {
    [Metric::unit(), Metric::diagonal(vec![4.0, 0.25, 1.0]).unwrap(), dense(), low_rank().0]
}

/// Where M⁻¹ of three coordinates sends each unit vector.
fn written_out(metric: &Metric) -> DMatrix<f64> {
    let columns = (0..3).flat_map(|i| {
        let mut velocity = [0.0; 3];
        metric.velocity(&[0, 1, 2].map(|j| f64::from(u8::from(i == j))), &mut velocity);
        velocity
    });
    DMatrix::from_iterator(3, 3, columns)
}

#[test]
fn a_low_rank_metric_equals_the_dense_one_with_its_matrix() {
    let (metric, matrix) = low_rank();
    let dense = Metric::dense(matrix.clone()).unwrap();
    assert!((written_out(&metric) - &matrix).amax() < 1e-13);
    let diagonals = [&metric, &dense].map(|metric| metric.inverse_mass_diagonal().unwrap());
    let mut kick_and_drift: Vec<Vec<f64>> = Vec::new();
    for metric in [&metric, &dense] {
        let mut from = PhasePoint::new(3, metric);
        from.position.copy_from_slice(&[0.3, -1.0, 2.0]);
        from.momentum.copy_from_slice(&[0.5, 0.25, -1.0]);
        from.gradient.copy_from_slice(&[1.0, 0.1, -0.7]);
        let mut to = PhasePoint::new(3, metric);
        metric.kick_and_drift_from(0.3, 0.2, &from, &mut to);
        let mut in_place = from.clone();
        metric.kick_and_drift(0.3, 0.2, &mut in_place);
        to.gradient.copy_from_slice(&from.gradient);
        metric.last_kick(0.1, &mut to);
        metric.last_kick(0.1, &mut from);
        metric.last_kick(0.1, &mut in_place);
        let [mut first, mut second] = [[0.0_f32; 3]; 2];
        metric.whiten(&from.momentum, &mut Vec::new(), &mut first);
        metric.whiten(&to.momentum, &mut Vec::new(), &mut second);
        let plain: f64 = from.momentum.iter().zip(&to.velocity).map(|(p, v)| p * v).sum();
        let whitened: f64 = first.iter().zip(&second).map(|(a, b)| f64::from(a * b)).sum();
        assert!((plain - whitened).abs() < 1e-5, "{plain} {whitened}");
        let energies = [to.kinetic_energy, in_place.kinetic_energy, metric.kinetic_energy(&to.momentum)];
        assert!((energies[0] - energies[2]).abs() < 1e-13);
        let parts: [&[f64]; 5] = [&to.position, &to.momentum, &to.velocity, &in_place.position, &energies];
        kick_and_drift.push(parts.concat());
    }
    kick_and_drift.extend(diagonals);
    for pair in kick_and_drift.chunks(2) {
        for (found, expected) in pair[0].iter().zip(&pair[1]) {
            assert!((found - expected).abs() < 1e-12, "{pair:?}");
        }
    }
}

#[test]
fn pooled_metrics_are_between_their_members() {
    let diagonal = |v: f64| Metric::diagonal(vec![v, 1.0, 1.0]).unwrap();
    assert!((written_out(&Metric::pooled(&[diagonal(1.0), diagonal(9.0)]).unwrap())[(0, 0)] - 3.0).abs() < 1e-12);
    let (low_rank, matrix) = low_rank();
    let no_direction = Metric::low_rank(vec![1.0, 2.0, 3.0], Vec::new(), Vec::new()).unwrap();
    for metric in [low_rank.clone(), dense(), no_direction] {
        let same = Metric::pooled(&[metric.clone(), metric.clone(), metric.clone()]).unwrap();
        assert!((written_out(&same) - written_out(&metric)).amax() < 1e-12);
    }
    // Of two metrics with one direction each, the mean has both, and keeps the stronger one.
    let of = |direction: [f64; 3], eigenvalue| Metric::low_rank(vec![1.0; 3], direction.to_vec(), vec![eigenvalue]).unwrap();
    let mean = Metric::pooled(&[of([1.0, 0.0, 0.0], 9.0), of([0.0, 1.0, 0.0], 3.0)]).unwrap();
    assert!((written_out(&mean) - DMatrix::from_diagonal(&nalgebra::dvector![5.0, 1.0, 1.0])).amax() < 1e-12);
    assert!(Metric::pooled(&[]).is_err() && matrix.nrows() == 3);
    let error = Metric::pooled(&[low_rank, dense()]).unwrap_err().to_string();
    assert!(error.contains("low-rank shape with 3") && error.contains("dense shape with 3"), "{error}");
}

#[test]
fn momenta_have_the_mass_matrix_as_variance() {
    // E[p pᵀ] = M, so E[p (M⁻¹p)ᵀ] = I. With 40,000 draws an entry's standard error is at most √2/200 = 0.007; 0.036 is five of
    // them, so nine entries of four metrics raise a false alarm with probability below 3e-5. Momenta scaled by M⁻¹ instead of M,
    // the broken twin, miss by more than 0.5.
    let mut rng = stream(3, 0, Purpose::Test);
    for metric in all() {
        let (mut p, mut v) = (vec![0.0; 3], vec![0.0; 3]);
        let mut sum = [[0.0; 3]; 3];
        let draws = 40_000;
        for _ in 0..draws {
            metric.sample_momentum(&mut rng, &mut p);
            metric.velocity(&p, &mut v);
            for (row, p) in sum.iter_mut().zip(&p) {
                for (entry, v) in row.iter_mut().zip(&v) {
                    *entry += p * v / f64::from(draws);
                }
            }
        }
        for (i, row) in sum.iter().enumerate() {
            for (j, entry) in row.iter().enumerate() {
                // p_i v_j has variance up to M_ii Σ_jj, which the dense case raises above 1.
                let expected = if i == j { 1.0 } else { 0.0 };
                assert!((entry - expected).abs() < 0.036 * 2.0, "entry {i},{j} is {entry}");
            }
        }
    }
}

#[test]
fn kinetic_energy_is_half_momentum_times_velocity() {
    for metric in all() {
        let p = [0.3, -1.2, 2.0];
        let mut v = [0.0; 3];
        metric.velocity(&p, &mut v);
        assert!((metric.kinetic_energy(&p) - 0.5 * dot(Equal, &p, &v)).abs() < 1e-14);
    }
}

#[test]
fn a_metric_survives_storage_bit_for_bit() {
    for metric in [Metric::unit(), Metric::diagonal(vec![4.0, 0.1, 1e-8]).unwrap(), dense(), low_rank().0] {
        let bytes = postcard::to_stdvec(&metric).unwrap();
        assert_eq!(postcard::from_bytes::<Metric>(&bytes).unwrap(), metric);
        let json = serde_json::to_string(&metric).unwrap();
        assert_eq!(serde_json::from_str::<Metric>(&json).unwrap(), metric);
    }
}

#[test]
fn impossible_metrics_are_refused() {
    assert!(matches!(Metric::diagonal(vec![1.0, 0.0]), Err(MetricError::Variance { coordinate: 1, .. })));
    assert!(Metric::diagonal(vec![f64::NAN]).is_err());
    assert!(Metric::dense(DMatrix::from_row_slice(2, 2, &[1.0, 2.0, 2.0, 1.0])).is_err());
    assert!(Metric::dense(DMatrix::from_row_slice(2, 2, &[1.0, 0.5, 0.0, 1.0])).is_err());
    assert!(Metric::dense(DMatrix::from_row_slice(1, 2, &[1.0, 0.5])).is_err());
    let low_rank = |scale, direction: &[f64], eigenvalue| {
        Metric::low_rank(vec![1.0, scale], direction.to_vec(), vec![eigenvalue]).unwrap_err().to_string()
    };
    assert!(low_rank(0.0, &[1.0, 0.0], 2.0).contains("coordinate 1 is 0"));
    assert!(low_rank(1.0, &[1.0], 2.0).contains("1 numbers for 1 directions of 2"));
    assert!(low_rank(1.0, &[1.0, 0.1], 2.0).contains("must be orthonormal"));
    assert!(low_rank(1.0, &[1.0, f64::NAN], 2.0).contains("must be orthonormal"));
    assert!(low_rank(1.0, &[1.0, 0.0], -1e-17).contains("eigenvalue"));
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("metric.json");
    std::fs::write(&file, r#"{"diagonal":[1.0,-2.0]}"#).unwrap();
    assert!(Metric::load(&file).unwrap_err().to_string().contains("coordinate 1 is -2"));
    assert!(Metric::load(place.path().join("none")).unwrap_err().to_string().contains("cannot read"));
    let mut metric = Metric::diagonal(vec![1.0, 2.0]).unwrap();
    assert!(metric.set_diagonal(&[1.0, f64::INFINITY]).is_err());
    assert_eq!(metric.inverse_mass_diagonal(), Some(vec![1.0, 2.0]));
}

#[test]
fn standard_momenta_have_the_kinetic_energy_of_half_their_square_and_lead_back() {
    for metric in all() {
        let p = [0.3, -1.2, 2.0];
        let mut z = [0.0; 3];
        metric.standardise_momentum(&p, &mut z);
        assert!((metric.kinetic_energy(&p) - 0.5 * dot(Equal, &z, &z)).abs() < 1e-13);
        metric.scale_momentum(&mut z);
        assert!(z.iter().zip(&p).all(|(a, b)| (a - b).abs() < 1e-13));
    }
}
