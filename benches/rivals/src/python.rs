//! Make a Python environment of its own, and drive the programs in it.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Why a rival is left out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Skip {
    /// There is no Python to make an environment with.
    #[error("no Python 3: {0}")]
    NoPython(String),
    /// A command of the installation failed.
    #[error("{command} failed: {message}")]
    Installation {
        /// The command.
        command: String,
        /// Its last words.
        message: String,
    },
    /// The program ended, or answered with an error.
    #[error("it could not evaluate: {0}")]
    Evaluation(String),
}

/// A Python environment in the target folder, and what is wrong with it if anything is.
#[derive(Debug)]
pub(crate) struct Environment {
    python: PathBuf,
}

impl Environment {
    /// The environment, made when there is none.
    pub(crate) fn new(folder: &Path) -> Result<Self, Skip> {
        let python = folder.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
        if !python.exists() {
            eprintln!("making a Python environment in {}", folder.display());
            run(Command::new("python3").args(["-m", "venv"]).arg(folder)).map_err(|skip| match skip {
                Skip::Installation { message, .. } => Skip::NoPython(message),
                other => other,
            })?;
        }
        Ok(Self { python })
    }

    /// Installs the package unless it can be imported.
    pub(crate) fn install(&self, package: &str) -> Result<(), Skip> {
        let import = format!("import {package}");
        if run(Command::new(&self.python).args(["-c", &import])).is_ok() {
            return Ok(());
        }
        eprintln!("installing {package}; this takes minutes the first time");
        let pip = |arguments: &[&str]| {
            let quiet = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "numpy", package];
            run(Command::new(&self.python).args(quiet).args(arguments))
        };
        // PyTorch for processors alone is a fifth of the size of the usual one, which serves graphics cards; it has an index of its own.
        let small = ["--index-url", "https://download.pytorch.org/whl/cpu", "--retries", "0", "--timeout", "10"];
        if package != "torch" || pip(&small).is_err() {
            pip(&[])?;
        }
        run(Command::new(&self.python).args(["-c", &import]))
    }

    /// Starts a script of the folder `python` for one library.
    pub(crate) fn start(&self, script: &str, library: &str) -> Result<Rival, Skip> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python").join(script);
        let mut command = Command::new(&self.python);
        let folder = self.python.parent().and_then(Path::parent).unwrap_or(Path::new("."));
        // What PyTorch compiles stays in the target folder; what it and JAX say goes to a file beside it.
        let log = std::fs::File::create(folder.join(format!("{library}.log")));
        let log = log.map_or_else(|_| Stdio::null(), Stdio::from);
        command.arg(script).arg(library).env("TORCHINDUCTOR_CACHE_DIR", folder.join("inductor"));
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .map_err(|error| Skip::Evaluation(error.to_string()))?;
        let gone = || Skip::Evaluation("its standard input or output is closed".to_owned());
        let input = child.stdin.take().ok_or_else(gone)?;
        let output = BufReader::new(child.stdout.take().ok_or_else(gone)?);
        Ok(Rival { child, input: Some(input), output })
    }
}

/// A running program that answers tasks, a JSON object a line.
#[derive(Debug)]
pub(crate) struct Rival {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Rival {
    /// The answer to a task.
    pub(crate) fn ask(&mut self, task: &serde_json::Value) -> Result<serde_json::Value, Skip> {
        let failed = |error: String| Skip::Evaluation(error);
        let input = self.input.as_mut().ok_or_else(|| failed("it is gone".to_owned()))?;
        writeln!(input, "{task}").and_then(|()| input.flush()).map_err(|error| failed(error.to_string()))?;
        let mut line = String::new();
        let length = self.output.read_line(&mut line).map_err(|error| failed(error.to_string()))?;
        if length == 0 {
            return Err(failed("it ended without an answer; its log lies in the environment's folder".to_owned()));
        }
        let answer: serde_json::Value = serde_json::from_str(&line).map_err(|error| failed(error.to_string()))?;
        match answer.get("error").and_then(serde_json::Value::as_str) {
            Some(error) => Err(failed(error.to_owned())),
            None => Ok(answer),
        }
    }
}

impl Drop for Rival {
    /// Ends the program by closing its input, and waits for it.
    fn drop(&mut self) {
        self.input = None;
        // A program that has ended already is what is wanted.
        let _ = self.child.wait();
    }
}

/// Runs a command to its end; its last words when it fails.
fn run(command: &mut Command) -> Result<(), Skip> {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let text = words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
    let failed = |message: String| Skip::Installation { command: text.clone(), message };
    let output = command.stdin(Stdio::null()).output().map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    let last = words.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it says nothing");
    Err(failed(last.trim().to_owned()))
}
