//! Check named tensors: round trips, files of other programs, names, and what is refused.

use ergodic_draws::{
    Block, ChainDraws, DrawSelection, Draws, Layout, Origin, Role, RunReport, SafetensorsError, SafetensorsFile,
    SafetensorsOptions, Temperatures, TensorNames, TensorPrecision, Transform, write_safetensors,
};
use safetensors::tensor::{Dtype, TensorView};
use std::path::{Path, PathBuf};

/// The layers of a dense network of these widths, and a noise scale in a unit.
fn layout(widths: &[usize]) -> Layout {
    let mut blocks = Vec::new();
    for (layer, pair) in widths.windows(2).enumerate() {
        blocks.push(Block::new(format!("layer{layer}.weight"), &[pair[1], pair[0]]).in_layer(layer).with_role(Role::Weight));
        blocks.push(Block::new(format!("layer{layer}.bias"), &[pair[1]]).in_layer(layer).with_role(Role::Bias));
    }
    blocks.push(Block::new("noise_scale", &[]).with_role(Role::Noise).with_transform(Transform::Exp { factor: 3.0 }));
    Layout::new(blocks).unwrap()
}

fn draws(layout: &Layout) -> Draws {
    let position = |seed: usize| (0..layout.dim()).map(move |i| ((7 * seed + i) as f64 * 0.37).sin());
    let chain =
        |from: usize, draws: usize| ChainDraws::from_positions(layout.dim(), (from..from + draws).flat_map(position).collect());
    let mut report = RunReport::new("nuts", 1);
    report.model = serde_json::json!({ "targets": [{ "name": "y", "mean": 2.0, "sd": 3.0 }] });
    Draws::new(layout.clone(), Origin::Mcmc, vec![chain(0, 3), chain(50, 2)], report)
}

fn written(draws: &Draws, selection: DrawSelection, options: &SafetensorsOptions) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    write_safetensors(draws, selection, &path, options).unwrap();
    (folder, path)
}

/// A file with these tensors, each of F32 zeros.
fn zeros(tensors: &[(&str, &[usize])]) -> (tempfile::TempDir, PathBuf) {
    let bytes = vec![0; 4 * tensors.iter().map(|(_, shape)| shape.iter().product()).max().unwrap_or(0_usize)];
    let views = tensors.iter().map(|(name, shape)| {
        (*name, TensorView::new(Dtype::F32, shape.to_vec(), &bytes[..4 * shape.iter().product::<usize>()]).unwrap())
    });
    save(&safetensors::serialize(views, None).unwrap())
}

fn save(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

fn read(path: &Path, layout: &Layout, names: &TensorNames) -> Result<Vec<f64>, SafetensorsError> {
    SafetensorsFile::read(path)?.position(layout, names, &vec![0.25; layout.dim()])
}

const ONE: DrawSelection = DrawSelection::One { chain: 1, draw: 1 };

#[test]
fn a_draw_comes_back() {
    let layout = layout(&[2, 3, 1]);
    let draws = draws(&layout);
    let (_folder, path) = written(&draws, ONE, &SafetensorsOptions::default());
    let position = read(&path, &layout, &TensorNames::automatic()).unwrap();
    let original = draws.chains()[1].position(1);
    let weights = layout.dim() - 1;
    assert!(position[..weights] == original[..weights], "weights come back bit for bit");
    assert!((position[weights] - original[weights]).abs() < 1e-15, "the noise scale goes through its transform");
    let file = SafetensorsFile::read(&path).unwrap();
    let shapes: Vec<(&str, &[usize])> = file.tensors().collect();
    assert_eq!(shapes[0], ("layer0.bias", [3].as_slice()));
    assert_eq!(shapes[1], ("layer0.weight", [3, 2].as_slice()));
    assert_eq!(shapes[4], ("noise_scale", [].as_slice()));
    // The file says what is needed to use it.
    let about = file.description().unwrap();
    assert_eq!(about["model"]["targets"][0]["sd"], 3.0);
    assert_eq!((about["draws"]["chain"].as_u64(), about["draws"]["draw"].as_u64()), (Some(1), Some(1)));
    assert_eq!(about["caveat"], "");
    // The same draws make the same bytes.
    let (_again, other) = written(&draws, ONE, &SafetensorsOptions::default());
    assert_eq!(std::fs::read(&path).unwrap(), std::fs::read(&other).unwrap());
}

#[test]
fn single_precision_rounds() {
    let layout = layout(&[2, 3, 1]);
    let draws = draws(&layout);
    let options = SafetensorsOptions { precision: TensorPrecision::F32, ..SafetensorsOptions::default() };
    let (_folder, path) = written(&draws, ONE, &options);
    let position = read(&path, &layout, &TensorNames::own()).unwrap();
    for (x, original) in position.iter().zip(draws.chains()[1].position(1)).take(layout.dim() - 1) {
        assert_eq!(*x, f64::from(*original as f32));
    }
}

#[test]
fn all_draws_are_stacked_along_a_leading_dimension() {
    let layout = layout(&[2, 3, 1]);
    let draws = draws(&layout);
    let (_folder, path) = written(&draws, DrawSelection::All, &SafetensorsOptions::default());
    let file = SafetensorsFile::read(&path).unwrap();
    assert!(file.tensors().any(|(name, shape)| name == "layer0.weight" && shape == [5, 3, 2]));
    assert!(file.tensors().any(|(name, shape)| name == "noise_scale" && shape == [5]));
    assert_eq!(file.description().unwrap()["draws"]["chain_lengths"], serde_json::json!([3, 2]));
    // As a stack of positions: the layout with a leading dimension reads chain after chain.
    let stack = Layout::new(vec![Block::new("layer0.weight", &[5, 3, 2]).with_role(Role::Weight)]).unwrap();
    let values = read(&path, &stack, &TensorNames::own().ignoring_others()).unwrap();
    let expected: Vec<f64> = draws.positions().flat_map(|position| position[..6].to_vec()).collect();
    assert_eq!(values, expected);
    let error = read(&path, &layout, &TensorNames::own()).unwrap_err().to_string();
    assert!(error.contains("'layer0.weight' has shape [5, 3, 2]") && error.contains("write one of them"), "{error}");
}

#[test]
fn names_and_orientation_go_both_ways() {
    let layout = layout(&[2, 3, 1]);
    let draws = draws(&layout);
    let names = TensorNames::own().with_transposed("layer0.weight", "Dense_0.kernel").with("layer0.bias", "Dense_0.bias");
    let options = SafetensorsOptions { names: names.clone(), ..SafetensorsOptions::default() };
    let (_folder, path) = written(&draws, ONE, &options);
    let file = SafetensorsFile::read(&path).unwrap();
    assert!(file.tensors().any(|(name, shape)| name == "Dense_0.kernel" && shape == [2, 3]));
    let position = read(&path, &layout, &names).unwrap();
    assert_eq!(position[..13], draws.chains()[1].position(1)[..13]);
    // The transpose is another matrix, and leaving it out is noticed by its shape.
    let plain = TensorNames::own().with("layer0.weight", "Dense_0.kernel").with("layer0.bias", "Dense_0.bias");
    let error = read(&path, &layout, &plain).unwrap_err().to_string();
    assert!(error.contains("[2, 3]") && error.contains("[3, 2]") && error.contains("with_transposed"), "{error}");
}

#[test]
fn a_file_of_the_python_library_is_read_by_order() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/two_layers.safetensors");
    let position = read(&path, &layout(&[2, 3, 1]), &TensorNames::automatic()).unwrap();
    let count = |n: usize| (0..n).map(|i| i as f64 / 8.0 - 0.5);
    let expected: Vec<f64> = count(6).chain(count(3)).chain(count(3)).chain(count(1)).chain([0.25]).collect();
    assert_eq!(position, expected);
    let file = SafetensorsFile::read(&path).unwrap();
    assert_eq!(file.metadata("format"), Some("pt"));
    assert_eq!(file.description(), None);
}

#[test]
fn half_precision_is_read() {
    let values = [1.0f32, -0.333, 65504.0, 1e-5];
    let f16: Vec<u8> = values.iter().flat_map(|&x| half::f16::from_f32(x).to_le_bytes()).collect();
    let bf16: Vec<u8> = values.iter().flat_map(|&x| half::bf16::from_f32(x).to_le_bytes()).collect();
    let views = [
        ("a", TensorView::new(Dtype::F16, vec![4], &f16).unwrap()),
        ("b", TensorView::new(Dtype::BF16, vec![2, 2], &bf16).unwrap()),
    ];
    let (_folder, path) = save(&safetensors::serialize(views, None).unwrap());
    let layout = Layout::new(vec![Block::new("a", &[4]), Block::new("b", &[2, 2])]).unwrap();
    let position = read(&path, &layout, &TensorNames::own()).unwrap();
    for (i, &x) in values.iter().enumerate() {
        assert_eq!(position[i], half::f16::from_f32(x).to_f64());
        assert_eq!(position[4 + i], half::bf16::from_f32(x).to_f64());
    }
}

#[test]
fn layers_are_numbered_as_numbers() {
    // Twelve hidden layers alike: only numbers tell them apart, and 10 comes after 2.
    let widths = [3; 13];
    let layout = layout(&widths);
    let names: Vec<String> = (0..12).flat_map(|k| [format!("net.{}.weight", 2 * k), format!("net.{}.bias", 2 * k)]).collect();
    let values: Vec<Vec<u8>> = (0..12u8)
        .flat_map(|k| [vec![f32::from(k); 9], vec![f32::from(k); 3]])
        .map(|values| values.iter().flat_map(|x| x.to_le_bytes()).collect())
        .collect();
    let views = names.iter().zip(&values).map(|(name, bytes)| {
        let shape = if bytes.len() == 36 { vec![3, 3] } else { vec![3] };
        (name.as_str(), TensorView::new(Dtype::F32, shape, bytes).unwrap())
    });
    let (_folder, path) = save(&safetensors::serialize(views, None).unwrap());
    let position = read(&path, &layout, &TensorNames::automatic()).unwrap();
    for layer in 0..12 {
        let block = layout.block(&format!("layer{layer}.weight")).unwrap();
        assert!(position[block.range()].iter().all(|&x| x == layer as f64), "layer {layer}");
    }
}

#[test]
fn names_without_numbers_need_shapes_that_tell() {
    let named = layout(&[2, 3, 1]);
    let (_folder, path) = zeros(&[
        ("head.weight", &[1, 3]),
        ("head.bias", &[1]),
        ("encoder.weight", &[3, 2]),
        ("encoder.bias", &[3]),
        ("noise_scale", &[1]),
    ]);
    // Zero is no noise scale, which is found only if all else is paired.
    let error = read(&path, &named, &TensorNames::automatic()).unwrap_err().to_string();
    assert!(error.contains("'noise_scale' has 0 at 0"), "{error}");
    let (_folder, path) = zeros(&[("up.weight", &[2, 2]), ("up.bias", &[2]), ("down.weight", &[2, 2]), ("down.bias", &[2])]);
    let error = read(&path, &layout(&[2, 2, 2]), &TensorNames::automatic()).unwrap_err().to_string();
    assert!(error.contains("'up'") && error.contains("'down'") && error.contains("TensorNames::with"), "{error}");
    let names = TensorNames::own()
        .with("layer0.weight", "up.weight")
        .with("layer0.bias", "up.bias")
        .with("layer1.weight", "down.weight")
        .with("layer1.bias", "down.bias");
    assert!(read(&path, &layout(&[2, 2, 2]), &names).is_ok());
}

#[test]
fn what_does_not_fit_is_named() {
    let named = layout(&[2, 3, 1]);
    let refuse = |tensors: &[(&str, &[usize])], names: TensorNames, words: &[&str]| {
        let (_folder, path) = zeros(tensors);
        let error = read(&path, &named, &names).unwrap_err().to_string();
        for word in words {
            assert!(error.contains(word), "'{word}' is missing in: {error}");
        }
    };
    let (first, second): (&[usize], &[usize]) = (&[3, 2], &[1, 3]);
    let numbered = |weight: &'static [usize]| -> Vec<(&'static str, &'static [usize])> {
        vec![("0.weight", weight), ("0.bias", &[3]), ("2.weight", &[1, 3]), ("2.bias", &[1])]
    };
    refuse(&numbered(&[4, 2]), TensorNames::automatic(), &["'0.weight'", "[4, 2]", "'layer0.weight'", "[3, 2]"]);
    refuse(&numbered(&[2, 3]), TensorNames::automatic(), &["with_transposed"]);
    refuse(&[("0.weight", first), ("0.bias", &[3])], TensorNames::automatic(), &["2 layers", "1 ('0')"]);
    refuse(&[("0.weight", first), ("2.weight", second)], TensorNames::automatic(), &["'0'", "needs bias"]);
    refuse(&[("layer0.weight", first)], TensorNames::own(), &["no tensor for 'layer0.bias' [3]", "'layer1.weight' [1, 3]"]);
    let own: Vec<(&str, &[usize])> = vec![
        ("layer0.weight", first),
        ("layer0.bias", &[3]),
        ("layer1.weight", second),
        ("layer1.bias", &[1]),
        ("extra", &[7]),
    ];
    refuse(&own, TensorNames::own(), &["'extra' [7]", "ignoring_others"]);
    refuse(&own, TensorNames::own().with("layer9.weight", "a"), &["'layer9.weight'", "layer1.bias"]);
    refuse(&own, TensorNames::own().with("layer0.bias", "extra").with("layer1.bias", "extra"), &["'extra'", "two blocks"]);
    refuse(&own, TensorNames::own().with_transposed("layer0.bias", "layer0.bias").ignoring_others(), &["only a matrix"]);
    let (_folder, path) = zeros(&own);
    assert!(read(&path, &named, &TensorNames::own().ignoring_others()).is_ok());
}

#[test]
fn numbers_that_are_not_weights_are_named() {
    let bytes = [0; 8];
    let view = |dtype, size: usize| [("layer0.weight", TensorView::new(dtype, vec![size], &bytes).unwrap())];
    let layout = Layout::new(vec![Block::new("layer0.weight", &[1]).with_role(Role::Weight)]).unwrap();
    let (_folder, path) = save(&safetensors::serialize(view(Dtype::I64, 1), None).unwrap());
    let error = read(&path, &layout, &TensorNames::own()).unwrap_err().to_string();
    assert!(error.contains("'layer0.weight'") && error.contains("I64"), "{error}");
    let nan = f64::NAN.to_le_bytes();
    let views = [("layer0.weight", TensorView::new(Dtype::F64, vec![1], &nan).unwrap())];
    let (_folder, path) = save(&safetensors::serialize(views, None).unwrap());
    let error = read(&path, &layout, &TensorNames::own()).unwrap_err();
    assert!(matches!(&error, SafetensorsError::Value { index: 0, value, .. } if value.is_nan()), "{error}");
}

#[test]
fn damaged_and_missing_files_are_errors_with_their_path() {
    let layout = layout(&[2, 3, 1]);
    let (_folder, path) = written(&draws(&layout), ONE, &SafetensorsOptions::default());
    let bytes = std::fs::read(&path).unwrap();
    for length in 0..bytes.len() {
        let (_folder, cut) = save(&bytes[..length]);
        let error = SafetensorsFile::read(&cut).unwrap_err();
        assert!(matches!(&error, SafetensorsError::Malformed { path, .. } if *path == cut), "{length} bytes: {error}");
    }
    let error = SafetensorsFile::read("/no/such/file.safetensors").unwrap_err().to_string();
    assert!(error.contains("cannot read '/no/such/file.safetensors'"), "{error}");
    let error =
        write_safetensors(&draws(&layout), ONE, "/no/such/file.safetensors", &SafetensorsOptions::default()).unwrap_err();
    assert!(error.to_string().contains("cannot write '/no/such/file.safetensors'"), "{error}");
}

#[test]
fn draws_that_are_not_there_are_refused() {
    let layout = layout(&[2, 3, 1]);
    let refuse = |draws: &Draws, selection, words: &str| {
        let error = write_safetensors(draws, selection, "unused.safetensors", &SafetensorsOptions::default()).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    };
    refuse(&draws(&layout), DrawSelection::One { chain: 2, draw: 0 }, "chain 2 is asked for, and there are 2");
    refuse(&draws(&layout), DrawSelection::One { chain: 1, draw: 2 }, "draw 2 of chain 1 is asked for, and it has 2");
    let empty = Draws::new(layout.clone(), Origin::Mcmc, vec![ChainDraws::new(layout.dim())], RunReport::new("nuts", 1));
    refuse(&empty, DrawSelection::All, "there are no draws");
}

#[test]
fn what_is_not_from_the_posterior_says_so_in_the_file() {
    let layout = layout(&[1, 1]);
    let mut draws = draws(&layout);
    draws.report.temperatures = Temperatures::both(0.5);
    let (_folder, path) = written(&draws, DrawSelection::All, &SafetensorsOptions::default());
    let about = SafetensorsFile::read(&path).unwrap().description().unwrap();
    assert!(about["caveat"].as_str().unwrap().contains("tempered") && about["temperatures"]["prior"] == 0.5, "{about}");
}
