//! Check densities from closures and their labels: names, transforms, initial positions and errors.

use ergodic_draws::{Block, Layout, Transform};
use ergodic_model::{LabelError, Labelled, LogDensity, Posterior, Purpose, density, stream};

fn normal(dim: usize) -> impl LogDensity + Clone + Send + Sync {
    density(dim, |x: &[f64], gradient: &mut [f64]| {
        for (g, x) in gradient.iter_mut().zip(x) {
            *g = -x;
        }
        -0.5 * x.iter().map(|x| x * x).sum::<f64>()
    })
}

#[test]
fn labels_of_another_dimension_are_refused() {
    let error = Labelled::new(normal(3), Layout::flat(2)).err().unwrap();
    assert_eq!(error, LabelError::Dimension { what: "layout", found: 2, expected: 3 });
    assert_eq!(error.to_string(), "the layout has 2 coordinates and the density 3; they must agree");
    let labelled = Labelled::new(normal(3), Layout::flat(3)).unwrap();
    let error = labelled.with_initial_position(vec![0.0; 4]).err().unwrap();
    assert_eq!(error, LabelError::Dimension { what: "initial position", found: 4, expected: 3 });
}

#[test]
fn blocks_that_share_a_name_become_the_same_kind_of_error() {
    let build = || -> Result<Layout, LabelError> { Ok(Layout::new(vec![Block::new("a", &[1]), Block::new("a", &[2])])?) };
    assert!(matches!(build(), Err(LabelError::Layout(_))));
}

#[test]
fn names_and_transforms_reach_the_layout() {
    let blocks = vec![Block::new("beta", &[2]), Block::new("tau", &[]).with_transform(Transform::EXP)];
    let labelled = Labelled::new(normal(3), Layout::new(blocks).unwrap()).unwrap();
    let layout = labelled.layout();
    assert_eq!((layout.coordinate_name(1), layout.coordinate_name(2)), ("beta[1]".into(), "tau".into()));
    assert_eq!(layout.constrain(2, 1.0), 1.0_f64.exp());
    let mut gradient = [f64::NAN; 3];
    let value = labelled.evaluator().log_density_and_gradient(&[1.0, 2.0, 0.0], &mut gradient).unwrap();
    assert_eq!((value, gradient), (-2.5, [-1.0, -2.0, 0.0]));
}

#[test]
fn initial_positions_differ_from_chain_to_chain_and_stay_near_the_given_one() {
    let anywhere = Labelled::new(normal(50), Layout::flat(50)).unwrap();
    let near = Labelled::new(normal(50), Layout::flat(50)).unwrap().with_initial_position(vec![3.0; 50]).unwrap();
    let start = |posterior: &dyn Posterior, chain: usize| {
        let mut position = vec![f64::NAN; 50];
        posterior.initial_position(&mut stream(1, chain, Purpose::Initialise), &mut position);
        position
    };
    assert!(start(&anywhere, 0).iter().all(|x| (-2.0..2.0).contains(x)));
    assert!(start(&near, 0).iter().all(|x| (2.9..3.1).contains(x)));
    assert_ne!(start(&near, 0), start(&near, 1));
    assert_eq!(start(&near, 1), start(&near, 1));
}

#[test]
fn densities_from_closures_are_posteriors_without_further_abilities() {
    let posterior = normal(2);
    assert_eq!(LogDensity::dim(&posterior), 2);
    assert_eq!(posterior.layout(), Layout::flat(2));
    let mut scales = [0.0; 2];
    posterior.prior_scales(&mut scales);
    assert_eq!(scales, [1.0, 1.0]);
    let capabilities = posterior.capabilities();
    assert!(capabilities.minibatch.is_none() && capabilities.pointwise.is_none() && capabilities.prior.is_none());
    assert!(capabilities.outputs.is_none() && capabilities.curvature.is_none());
    assert!(capabilities.local_reparameterization.is_none());
}
