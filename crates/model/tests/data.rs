//! Check that data are read as they stand, and that what is wrong with them is named by file, line and column.

use ergodic_model::{
    Activation, BayesianNetwork, Bernoulli, Categorical, DataError, Dataset, Gaussian, Likelihood, ModelError, Network,
    NormalPrior,
};
use nalgebra::DMatrix;

fn read(text: &str, targets: &[&str]) -> Result<Dataset, DataError> {
    Dataset::from_reader(text.as_bytes(), "file.csv", targets)
}

fn message(text: &str, targets: &[&str]) -> String {
    read(text, targets).unwrap_err().to_string()
}

#[test]
fn columns_stand_in_the_order_of_the_file_and_of_the_targets() {
    let data = read("a,b,c,d\n1,2,3,4\n5,6e0, 7 ,-8\n", &["d", "b"]).unwrap();
    assert_eq!(data.inputs(), &DMatrix::from_row_slice(2, 2, &[1.0, 3.0, 5.0, 7.0]));
    assert_eq!(data.targets(), &DMatrix::from_row_slice(2, 2, &[4.0, 2.0, -8.0, 6.0]));
    assert_eq!((data.input_names(), data.target_names()), (&["a".into(), "c".into()][..], &["d".into(), "b".into()][..]));
}

#[test]
fn separators_quotes_byte_order_marks_and_line_ends_are_read() {
    let expected = read("a,y\n1,2\n3,4\n", &["y"]).unwrap();
    for text in ["a;y\n1;2\n3;4\n", "\"a\";\"y\"\r\n1;2\r\n3;4\r\n", "\u{feff}a,y\n1,2\n3,4", " a , y \n 1 , 2 \n 3 , 4 \n"] {
        assert_eq!(read(text, &["y"]).unwrap(), expected, "{text:?}");
    }
    let quoted = read("\"a;b;c\",y\n1,2\n3,4\n", &["y"]).unwrap();
    assert_eq!(quoted.input_names(), ["a;b;c"]);
}

#[test]
fn text_targets_become_classes_in_alphabetical_order() {
    let data = read("x,kind\n1,wren\n2,auk\n3,wren\n4,kite\n", &["kind"]).unwrap();
    assert_eq!(data.class_names(), ["auk", "kite", "wren"]);
    assert_eq!(data.targets().as_slice(), [2.0, 0.0, 2.0, 1.0]);
}

#[test]
fn faults_are_named_by_file_line_and_column() {
    assert_eq!(
        message("a,y\n1,2\n,4\n", &["y"]),
        "'file.csv', line 3, column 'a': the value is missing; remove the row or fill the value in"
    );
    for missing in ["NA", "nan", "?", "NaN"] {
        let error = read(&format!("a,y\n1,2\n{missing},4\n"), &["y"]).unwrap_err();
        assert!(matches!(error, DataError::MissingValue { line: 3, .. }), "{missing}: {error}");
    }
    assert_eq!(message("a,y\n1,2\n3,four\n", &["y"]), "'file.csv', line 3, column 'y': 'four' is not a finite number");
    assert_eq!(message("a,y\nred,2\n", &["y"]), "'file.csv', line 2, column 'a': 'red' is not a finite number");
    assert_eq!(message("a,y\n1e400,2\n", &["y"]), "'file.csv', line 2, column 'a': '1e400' is not a finite number");
    assert_eq!(message("a,y\n1,2\n1,2,3\n", &["y"]), "'file.csv', line 3 has 3 fields and the header 2");
    assert_eq!(message("a,y\n1\n", &["y"]), "'file.csv', line 2 has 1 fields and the header 2");
    assert_eq!(message("a,y,a\n1,2,3\n", &["y"]), "'file.csv' has more than one column 'a'; give each its own name");
    assert_eq!(message("a,b\n1,2\n", &["y"]), "'file.csv' has no column 'y'; its columns are: a, b");
    assert_eq!(message("1,2\n3,4\n", &["y"]), "the first line of 'file.csv' holds numbers only; put the columns' names there");
    assert_eq!(
        message("a,kind\n1,cat\n2,\n", &["kind"]).split(": ").last().unwrap().split(';').next(),
        Some("the value is missing")
    );
    assert!(matches!(read("a,y\n1,2\n", &["y", "y"]), Err(DataError::DuplicateColumn { .. })));
    assert!(matches!(read("a,y\n1,2\n", &[]), Err(DataError::Empty("targets"))));
    assert!(matches!(read("y\n1\n", &["y"]), Err(DataError::Empty("inputs"))));
}

#[test]
fn empty_files_and_unreadable_ones_are_refused() {
    assert!(matches!(read("", &["y"]), Err(DataError::NoRows { .. })));
    assert!(matches!(read("a,y\n", &["y"]), Err(DataError::NoRows { .. })));
    let absent = Dataset::from_csv("no/such/file.csv", &["y"]).unwrap_err();
    assert!(matches!(absent, DataError::Io { .. }) && absent.to_string().contains("no/such/file.csv"));
    let not_text = Dataset::from_reader(&b"a,y\n1,\xff\xfe\n"[..], "file.csv", &["y"]).unwrap_err();
    assert!(matches!(not_text, DataError::Io { .. }), "{not_text}");
}

#[test]
fn values_that_are_not_finite_are_named_by_row_and_column() {
    let mut inputs = DMatrix::from_fn(4, 2, |row, column| (row + column) as f64);
    inputs[(2, 1)] = f64::NAN;
    let error = Dataset::new(inputs.clone(), DMatrix::zeros(4, 1)).unwrap_err();
    assert!(matches!(&error, DataError::NotFinite { row: 2, column, .. } if column == "x1"), "{error}");
    inputs[(2, 1)] = 1.0;
    assert!(Dataset::new(inputs.clone(), DMatrix::from_element(4, 1, f64::INFINITY)).is_err());
    assert!(matches!(Dataset::new(inputs, DMatrix::zeros(5, 1)), Err(DataError::RowCount { inputs: 4, targets: 5 })));
    assert!(matches!(Dataset::new(DMatrix::zeros(0, 1), DMatrix::zeros(0, 1)), Err(DataError::Empty("rows"))));
}

fn build(likelihood: impl Likelihood + 'static, inputs: DMatrix<f64>, targets: &[f64]) -> Result<BayesianNetwork, ModelError> {
    let network = Network::dense(inputs.ncols(), &[3], Activation::Tanh, likelihood.num_outputs()).unwrap();
    let data = Dataset::new(inputs, DMatrix::from_column_slice(targets.len(), 1, targets)).unwrap();
    BayesianNetwork::new(network, likelihood, NormalPrior::default(), &data)
}

#[test]
fn models_refuse_data_they_cannot_be_fitted_to() {
    let inputs = || DMatrix::from_fn(4, 2, |row, column| ((row * 3 + column) % 4) as f64);
    let one_class = build(Bernoulli, inputs(), &[1.0; 4]).unwrap_err();
    assert!(matches!(one_class, ModelError::Data(DataError::OneClass { rows: 4, .. })), "{one_class}");
    let third_class = build(Bernoulli, inputs(), &[0.0, 1.0, 2.0, 0.0]).unwrap_err();
    assert!(matches!(third_class, ModelError::Data(DataError::Target { row: 2, .. })), "{third_class}");
    let fraction = build(Categorical { classes: 3 }, inputs(), &[0.0, 1.5, 2.0, 0.0]).unwrap_err();
    assert!(matches!(fraction, ModelError::Data(DataError::Target { row: 1, .. })), "{fraction}");
    let constant_target = build(Gaussian::learned_noise(), inputs(), &[5.0; 4]).unwrap_err();
    assert!(matches!(&constant_target, ModelError::Data(DataError::ConstantColumn { column, .. }) if column == "y"));
    let mut constant = inputs();
    constant.column_mut(1).fill(0.1);
    let constant_input = build(Bernoulli, constant, &[0.0, 1.0, 1.0, 0.0]).unwrap_err();
    assert!(matches!(&constant_input, ModelError::Data(DataError::ConstantColumn { column, .. }) if column == "x1"));
    assert!(matches!(build(Categorical { classes: 1 }, inputs(), &[0.0; 4]), Err(ModelError::Likelihood(_))));
    assert!(matches!(build(Gaussian::known_noise(-1.0), inputs(), &[0.0; 4]), Err(ModelError::Likelihood(_))));
}

#[test]
fn splits_are_exact_disjoint_and_reproducible() {
    let inputs = DMatrix::from_fn(103, 1, |row, _| row as f64);
    let data = Dataset::new(inputs.clone(), inputs).unwrap();
    let (train, test) = data.split(0.2, 7).unwrap();
    assert_eq!((train.num_rows(), test.num_rows()), (82, 21));
    let mut rows: Vec<f64> = train.inputs().iter().chain(test.inputs().iter()).copied().collect();
    rows.sort_by(f64::total_cmp);
    assert!(rows.iter().enumerate().all(|(row, value)| *value == row as f64));
    assert_eq!(data.split(0.2, 7).unwrap(), (train.clone(), test));
    assert_ne!(data.split(0.2, 8).unwrap().0, train);
    for fraction in [0.0, 1.0, -0.5, 2.0, f64::NAN, 0.001] {
        assert!(matches!(data.split(fraction, 7), Err(DataError::Split { .. })), "{fraction}");
    }
    assert!(matches!(data.select(&[5, 103]), Err(DataError::NoSuchRow { row: 103, rows: 103 })));
    assert!(matches!(data.select(&[]), Err(DataError::Empty("rows"))));
}
