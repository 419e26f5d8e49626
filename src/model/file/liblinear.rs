//! Models as LIBLINEAR text (`save_model` and `load_model` in its `linear.cpp`): a solver, the classes, and
//! a feature a line with one weight, or of more than two classes one for each; the bias, where there is one, is the last weight, of a feature whose value is `bias`.

use super::{LossKind, Precision, SavedModel};
use crate::data::Columns;
use crate::error::{Error, Result};
use std::fmt::Write;
use std::path::Path;

const FIRST: &str = "solver_type";

/// LIBLINEAR's solvers and our loss for each. What we write for a loss is its first.
const SOLVERS: [(&str, LossKind); 10] = [
    ("L2R_LR", LossKind::Logistic),
    ("L2R_LR_DUAL", LossKind::Logistic),
    ("L1R_LR", LossKind::Logistic),
    ("L2R_L1LOSS_SVC_DUAL", LossKind::Hinge),
    ("L2R_L2LOSS_SVC", LossKind::SquaredHinge),
    ("L2R_L2LOSS_SVC_DUAL", LossKind::SquaredHinge),
    ("L1R_L2LOSS_SVC", LossKind::SquaredHinge),
    ("L2R_L2LOSS_SVR", LossKind::Squared),
    ("L2R_L2LOSS_SVR_DUAL", LossKind::Squared),
    // Linear for large errors, as Huber's loss is.
    ("L2R_L1LOSS_SVR_DUAL", LossKind::Huber),
];

/// The largest integer up to which `f32`, the type of labels, holds all.
const LARGEST_LABEL: i64 = 1 << 24;

/// Whether this looks like LIBLINEAR text.
pub(super) fn is(bytes: &[u8]) -> bool {
    bytes.starts_with(FIRST.as_bytes())
}

pub(super) fn write(model: &SavedModel, path: &Path) -> Result<Vec<u8>> {
    let (solver, _) = SOLVERS.iter().find(|(_, loss)| *loss == model.loss).expect("a solver for each loss");
    let outputs = model.outputs();
    if let Some(names) = &model.columns.classes {
        let line = format!("LIBLINEAR's classes are integers, found '{}': save as .safetensors", names[0]);
        return Err(Error::usage(format!("{}: {line}", path.display())));
    }
    let mut text = format!("{FIRST} {solver}\nnr_class {}\n", model.classes.len().max(2));
    if let Some(class) = model.classes.iter().find(|c| c.fract() != 0.0 || c.abs() > LARGEST_LABEL as f32) {
        return Err(Error::usage(format!(
            "{}: LIBLINEAR's classes are integers, found {class}: save as .safetensors",
            path.display()
        )));
    }
    match *model.classes {
        [] => (),
        // The class of positive scores comes first.
        [minus, plus] => text += &format!("label {plus} {minus}\n"),
        ref classes => {
            let labels: String = classes.iter().map(|class| format!(" {class}")).collect();
            text += &format!("label{labels}\n");
        }
    }
    let bias = if model.bias.is_empty() { -1 } else { 1 };
    let features = model.features();
    text += &format!("nr_feature {features}\nbias {bias}\nw\n");
    let of_feature = |feature| (0..outputs).map(move |k| model.weights[k * features + feature]);
    let mut line = |weights: &mut dyn Iterator<Item = f64>| {
        // The shortest digits that read back as the same number.
        weights.for_each(|weight| write!(text, "{weight:e} ").expect("a string takes everything"));
        text.pop();
        text.push('\n');
    };
    (0..features).for_each(|feature| line(&mut of_feature(feature)));
    if !model.bias.is_empty() {
        line(&mut model.bias.iter().copied());
    }
    Ok(text.into_bytes())
}

pub(super) fn read(bytes: &[u8], file: &str) -> Result<SavedModel> {
    let text = std::str::from_utf8(bytes).map_err(|e| {
        let line = 1 + bytes[..e.valid_up_to()].iter().filter(|&&b| b == b'\n').count();
        Error::input(file, line, 0, format!("byte {:#04x}", bytes[e.valid_up_to()]), "LIBLINEAR text")
    })?;
    let mut lines = Lines { file, lines: text.lines(), line: "", number: 0 };
    let mut found = Header::default();
    while found.line(&mut lines)? {}
    found.model(lines)
}

/// The lines of a file and where we are.
struct Lines<'a> {
    file: &'a str,
    lines: std::str::Lines<'a>,
    line: &'a str,
    number: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Option<&'a str> {
        self.line = self.lines.next()?;
        self.number += 1;
        Some(self.line)
    }

    /// An error at `found`, a part of the present line.
    fn wrong(&self, found: &str, expected: impl Into<String>) -> Error {
        let column = 1 + found.as_ptr() as usize - self.line.as_ptr() as usize;
        let shown: String = found.chars().take(40).collect();
        Error::input(self.file, self.number, column, format!("'{}'", shown.escape_debug()), expected)
    }

    /// An error at the end of the file.
    fn ended(&self, expected: impl Into<String>) -> Error {
        Error::input(self.file, self.number, 0, "the end of the file", expected)
    }

    /// The one word of `rest`, as a `V`.
    fn value<V: std::str::FromStr>(&self, rest: &'a str, holds: fn(&V) -> bool, name: &str) -> Result<V> {
        let word = rest.trim();
        word.parse().ok().filter(holds).ok_or_else(|| self.wrong(word, name))
    }
}

/// What the lines before `w` say.
#[derive(Default)]
struct Header {
    loss: Option<LossKind>,
    /// nr_class.
    number: Option<usize>,
    /// In the order of the file.
    classes: Option<Vec<f32>>,
    features: Option<usize>,
    bias: Option<f64>,
}

impl Header {
    /// Reads one line; false for the one after which the weights come.
    fn line(&mut self, lines: &mut Lines<'_>) -> Result<bool> {
        let Some(line) = lines.next() else { return Err(lines.ended("the weights, after a line 'w'")) };
        let line = line.trim_start();
        let (key, rest) = line.split_at(line.find(char::is_whitespace).unwrap_or(line.len()));
        match key {
            "solver_type" => {
                let name = rest.trim();
                let solver = SOLVERS.iter().find(|(solver, _)| *solver == name);
                let (_, loss) = solver.ok_or_else(|| {
                    lines.wrong(name, "a two-class or regression solver of LIBLINEAR, such as L2R_LR")
                })?;
                self.loss = Some(*loss);
            }
            "nr_class" => {
                self.number = Some(lines.value(rest, |&n: &usize| n >= 2, "2 classes or more")?);
            }
            "label" => {
                let label = |word: &'_ str| word.parse().ok().filter(|l: &i64| l.abs() <= LARGEST_LABEL);
                let mut classes: Vec<f32> = Vec::new();
                for word in rest.split_whitespace() {
                    let wrong = || lines.wrong(word, format!("an integer up to {LARGEST_LABEL}"));
                    let class = label(word).ok_or_else(wrong)? as f32;
                    if classes.contains(&class) {
                        return Err(lines.wrong(rest.trim(), "different labels"));
                    }
                    classes.push(class);
                }
                self.classes = Some(classes);
            }
            "nr_feature" => {
                let fits = |&n: &usize| u32::try_from(n).is_ok();
                self.features = Some(lines.value(rest, fits, "a number of features below 2^32")?);
            }
            "bias" => self.bias = Some(lines.value(rest, |b: &f64| b.is_finite(), "a number")?),
            "w" if rest.trim().is_empty() => return Ok(false),
            _ => return Err(lines.wrong(key, "solver_type, nr_class, label, nr_feature, bias or w")),
        }
        Ok(true)
    }

    /// The model, from the weights that follow.
    fn model(self, mut lines: Lines<'_>) -> Result<SavedModel> {
        let (line, number) = (lines.line, lines.number);
        let missing =
            |what| Error::input(lines.file, number, 0, format!("'{line}' without {what}"), "it before");
        let loss = self.loss.ok_or_else(|| missing("solver_type"))?;
        let number = self.number.ok_or_else(|| missing("nr_class"))?;
        let features = self.features.ok_or_else(|| missing("nr_feature"))?;
        // LIBLINEAR before 1.5 wrote no bias line where there is none.
        let constant = self.bias.filter(|&bias| bias >= 0.0);
        let mut classes = match self.classes {
            Some(classes) if loss.is_classification() => classes,
            None if loss.is_classification() => return Err(missing("label")),
            _ => Vec::new(),
        };
        if loss.is_classification() && classes.len() != number {
            let found = format!("{} labels for nr_class {number}", classes.len());
            return Err(Error::input(lines.file, 0, 0, found, "as many"));
        }
        let outputs = if classes.len() > 2 { number } else { 1 };
        if outputs == 1 {
            // The class of positive scores comes first.
            classes.reverse();
        }
        let expected = features + usize::from(constant.is_some());
        // By feature, not reserved: the number may be forged.
        let mut table: Vec<f64> = Vec::new();
        let mut read = 0;
        while let Some(line) = lines.next() {
            if read == expected {
                if line.trim().is_empty() {
                    continue;
                }
                let weights = if outputs == 1 { "weights" } else { "lines of weights" };
                return Err(lines.wrong(line.trim(), format!("the end after {expected} {weights}")));
            }
            if outputs == 1 {
                table.push(lines.value(line, |w: &f64| w.is_finite(), "one finite weight")?);
            } else {
                let before = table.len();
                for word in line.split_whitespace() {
                    table.push(lines.value(word, |w: &f64| w.is_finite(), "a finite weight")?);
                }
                if table.len() - before != outputs {
                    return Err(lines.wrong(line.trim(), format!("{outputs} weights, one a class")));
                }
            }
            read += 1;
        }
        if read < expected {
            let weights = if outputs == 1 { "weights" } else { "lines of weights" };
            return Err(lines.ended(format!("{expected} {weights}, of which {read} came")));
        }
        let bias = match constant {
            Some(constant) => table.split_off(features * outputs).iter().map(|w| w * constant).collect(),
            None => Vec::new(),
        };
        let weights = (0..outputs).flat_map(|k| table.iter().skip(k).step_by(outputs).copied()).collect();
        Ok(SavedModel {
            loss,
            l2: None,
            l1: None,
            classes,
            weights,
            bias,
            one_based: true,
            columns: Columns::default(),
            precision: Precision::F64,
            provenance: [("format".to_owned(), "LIBLINEAR text".to_owned())].into(),
        })
    }
}
