//! Models that are not linear, as safetensors files: named tensors, and what the kind of model has to say of itself.

use super::{Precision, tensors, word2vec};
use crate::error::{Error, Result};
use crate::output;
use crate::real::Real;
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// The version of [`Header`].
const FORMAT: u32 = 1;

/// A saved model of a kind other than linear. What its tensors and its entries mean is the kind's to know.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorModel {
    /// The kind with its sizes, as `--model` names it.
    pub model: String,
    /// What else it takes to predict: classes, names, ….
    pub about: BTreeMap<String, serde_json::Value>,
    /// The numbers.
    pub tensors: Vec<Tensor>,
    /// The type of the numbers in the file. They are exact here in either case.
    pub precision: Precision,
    /// Where the model comes from.
    pub provenance: BTreeMap<String, String>,
}

/// A named array in row-major order.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// The name.
    pub name: String,
    /// The length of each dimension.
    pub shape: Vec<usize>,
    /// The numbers; all finite.
    pub values: Vec<f64>,
}

/// Numbers as bytes.
type Encode = fn(&[f64]) -> Vec<u8>;

/// Everything but the numbers.
#[derive(Serialize, Deserialize)]
struct Header {
    format: u32,
    model: String,
    about: BTreeMap<String, serde_json::Value>,
    provenance: BTreeMap<String, String>,
}

impl Tensor {
    /// A tensor of these numbers.
    pub fn new<T: Real>(name: impl Into<String>, shape: &[usize], values: &[T]) -> Self {
        let values = values.iter().map(|x| x.to_f64()).collect();
        Self { name: name.into(), shape: shape.to_vec(), values }
    }
}

impl TensorModel {
    /// The tensor of this name.
    ///
    /// # Errors
    /// [`Error::Input`] where there is none of that shape; `file` is what the error calls the model.
    pub fn tensor(&self, name: &str, shape: &[usize], file: &str) -> Result<&[f64]> {
        match self.tensors.iter().find(|tensor| tensor.name == name) {
            Some(tensor) if tensor.shape == shape => Ok(&tensor.values),
            Some(tensor) => {
                let found = format!("tensor '{name}' of shape {:?}", tensor.shape);
                Err(Error::input(file, 0, 0, found, format!("shape {shape:?}")))
            }
            None => Err(Error::input(file, 0, 0, format!("no tensor '{name}'"), "it, of a whole model")),
        }
    }

    /// What the model says of itself under this name.
    ///
    /// # Errors
    /// [`Error::Input`] where it says nothing or something else; `file` is what the error calls the model.
    pub fn entry<V: for<'de> Deserialize<'de>>(&self, name: &str, file: &str) -> Result<V> {
        let value = self.about.get(name).cloned().unwrap_or(serde_json::Value::Null);
        serde_json::from_value(value)
            .map_err(|e| Error::input(file, 0, 0, format!("entry '{name}' with {e}"), "a whole model"))
    }

    /// Writes the model. The old file stays until the new one is complete.
    ///
    /// # Errors
    /// [`Error::Usage`] where a number is not finite; [`Error::Io`] where the system refuses.
    pub fn save(&self, path: &Path) -> Result<()> {
        let refused = |e: &dyn std::fmt::Display| Error::usage(format!("{}: not saved: {e}", path.display()));
        if self.tensors.iter().any(|tensor| tensor.values.iter().any(|x| !x.is_finite())) {
            return Err(refused(&"weights are not finite"));
        }
        let header = Header {
            format: FORMAT,
            model: self.model.clone(),
            about: self.about.clone(),
            provenance: self.provenance.clone(),
        };
        let header = serde_json::to_string(&header).map_err(|e| refused(&e))?;
        let (dtype, encode): (_, Encode) = match self.precision {
            Precision::F32 => (Dtype::F32, |x| x.iter().flat_map(|&x| (x as f32).to_le_bytes()).collect()),
            Precision::F64 => (Dtype::F64, |x| x.iter().flat_map(|x| x.to_le_bytes()).collect()),
        };
        let encoded: Vec<Vec<u8>> = self.tensors.iter().map(|tensor| encode(&tensor.values)).collect();
        let views = self
            .tensors
            .iter()
            .zip(&encoded)
            .map(|(tensor, bytes)| Ok((&tensor.name, TensorView::new(dtype, tensor.shape.clone(), bytes)?)))
            .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
            .map_err(|e| refused(&e))?;
        let bytes = serialize(views, Some(HashMap::from([(tensors::ENTRY.to_owned(), header)])));
        output::write(path, &bytes.map_err(|e| refused(&e))?)
    }

    /// Reads a model, or word vectors in word2vec's text or binary format; `None` where the file is no such one: a
    /// linear model, or something else.
    ///
    /// # Errors
    /// [`Error::Io`] where the file cannot be read; [`Error::Input`] where it is damaged.
    pub fn load(path: &Path) -> Result<Option<Self>> {
        let bytes = std::fs::read(path).map_err(|e| Error::io("read", path, e))?;
        let file = path.display().to_string();
        let Ok((_, metadata)) = SafeTensors::read_metadata(&bytes) else {
            return word2vec::read(&bytes, &file);
        };
        let entry = metadata.metadata().as_ref().and_then(|entries| entries.get(tensors::ENTRY));
        let value = entry.and_then(|entry| serde_json::from_str::<serde_json::Value>(entry).ok());
        let Some(value) = value.filter(|value| value.get("model").is_some()) else { return Ok(None) };
        let wrong = |found: String, expected: &str| Error::input(&file, 0, 0, found, expected);
        let header: Header = serde_json::from_value(value)
            .map_err(|e| wrong(format!("metadata with {e}"), "a model saved by asyncsgd"))?;
        if header.format != FORMAT {
            let found = format!("model format {}", header.format);
            return Err(wrong(found, &format!("format {FORMAT}, which this version reads")));
        }
        let read = SafeTensors::deserialize(&bytes)
            .map_err(|e| wrong(e.to_string(), "a complete safetensors file"))?;
        let mut names = read.names();
        names.sort_unstable();
        let mut precision = Precision::F32;
        let mut all = Vec::new();
        for name in names {
            let (values, shape, type_) = tensors::numbers(&read, name, &file)?;
            precision = type_;
            all.push(Tensor { name: name.to_owned(), shape, values });
        }
        let Header { model, about, provenance, .. } = header;
        Ok(Some(Self { model, about, tensors: all, precision, provenance }))
    }
}
