//! Read the data and the reference draws of one posterior.

use flate2::read::GzDecoder;
use serde_json::Value;
use std::path::PathBuf;

/// The folder of reference posteriors: `posteriordb` under `ERGODIC_DATA`, or under `../shared/data` beside the project.
pub(crate) fn folder() -> Option<PathBuf> {
    let root = match std::env::var_os("ERGODIC_DATA") {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data"),
    };
    let folder = root.join("posteriordb");
    folder.is_dir().then_some(folder)
}

/// Data and reference draws of one posterior.
pub(crate) struct Reference {
    pub(crate) name: &'static str,
    data: Value,
    draws: Value,
}

impl Reference {
    /// Reads the posterior `name`.
    pub(crate) fn read(name: &'static str) -> Option<Self> {
        let folder = folder()?.join(name);
        let data = std::fs::read_to_string(folder.join("data.json")).expect("the folder has a data.json");
        let draws = std::fs::File::open(folder.join("draws.json.gz")).expect("the folder has a draws.json.gz");
        Some(Self {
            name,
            data: serde_json::from_str(&data).expect("data.json is JSON"),
            draws: serde_json::from_reader(std::io::BufReader::new(GzDecoder::new(draws))).expect("draws.json.gz is JSON"),
        })
    }

    /// A list of numbers of the data.
    pub(crate) fn list(&self, name: &str) -> Vec<f64> {
        numbers(&self.data[name])
    }

    /// A number of the data.
    pub(crate) fn number(&self, name: &str) -> f64 {
        self.data[name].as_f64().expect("a number")
    }

    /// A list of rows of numbers of the data.
    pub(crate) fn rows(&self, name: &str) -> Vec<Vec<f64>> {
        self.data[name].as_array().expect("a list of rows").iter().map(numbers).collect()
    }

    /// The reference draws of one parameter, chain by chain.
    pub(crate) fn draws(&self, parameter: &str) -> Vec<Vec<f64>> {
        self.draws.as_array().expect("a list of chains").iter().map(|chain| numbers(&chain[parameter])).collect()
    }
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(|x| x.as_f64().expect("a number")).collect()
}
