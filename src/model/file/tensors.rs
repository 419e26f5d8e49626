//! Models as safetensors files.

use super::{LossKind, Precision, SavedModel};
use crate::data::Columns;
use crate::error::{Error, Result};
use safetensors::tensor::{Dtype, SafeTensorError, SafeTensors, TensorView, serialize};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// The metadata's entry. One entry, as the order of several would change from file to file.
pub(super) const ENTRY: &str = "asyncsgd";

/// The version of [`Header`].
const FORMAT: u32 = 1;

/// Everything but the numbers.
#[derive(Serialize, Deserialize)]
struct Header {
    format: u32,
    loss: String,
    l2: Option<f64>,
    l1: Option<f64>,
    classes: Option<Vec<f32>>,
    one_based: bool,
    #[serde(default)]
    columns: Columns,
    provenance: BTreeMap<String, String>,
}

/// Whether this looks like safetensors: eight bytes of length, then a JSON object.
pub(super) fn is(bytes: &[u8]) -> bool {
    bytes.get(8) == Some(&b'{')
}

pub(super) fn write(model: &SavedModel, path: &Path) -> Result<Vec<u8>> {
    let header = Header {
        format: FORMAT,
        loss: model.loss.to_string(),
        l2: model.l2,
        l1: model.l1,
        classes: Some(model.classes.clone()).filter(|classes| !classes.is_empty()),
        one_based: model.one_based,
        columns: model.columns.clone(),
        provenance: model.provenance.clone(),
    };
    let refused = |e: &dyn std::fmt::Display| Error::usage(format!("{}: {e}", path.display()));
    let header = serde_json::to_string(&header).map_err(|e| refused(&e))?;
    let dtype = match model.precision {
        Precision::F32 => Dtype::F32,
        Precision::F64 => Dtype::F64,
    };
    let encode = |weights: &[f64]| -> Vec<u8> {
        match model.precision {
            Precision::F32 => weights.iter().flat_map(|&w| (w as f32).to_le_bytes()).collect(),
            Precision::F64 => weights.iter().flat_map(|w| w.to_le_bytes()).collect(),
        }
    };
    let outputs = model.outputs();
    let shape = if outputs > 1 { vec![outputs, model.features()] } else { vec![model.features()] };
    let data =
        [("weights", shape, encode(&model.weights)), ("bias", vec![model.bias.len()], encode(&model.bias))];
    let tensors = data
        .iter()
        .filter(|(name, ..)| *name != "bias" || !model.bias.is_empty())
        .map(|(name, shape, bytes)| Ok((*name, TensorView::new(dtype, shape.clone(), bytes)?)))
        .collect::<Result<Vec<_>, SafeTensorError>>()
        .map_err(|e| refused(&e))?;
    serialize(tensors, Some(HashMap::from([(ENTRY.to_owned(), header)]))).map_err(|e| refused(&e))
}

pub(super) fn read(bytes: &[u8], file: &str) -> Result<SavedModel> {
    let wrong = |found: String, expected: &str| Error::input(file, 0, 0, found, expected);
    let damaged = |e: SafeTensorError| wrong(e.to_string(), "a complete safetensors file");
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
    let Some(header) = metadata.metadata().as_ref().and_then(|entries| entries.get(ENTRY)) else {
        return Err(wrong(format!("no metadata '{ENTRY}'"), "a model saved by asyncsgd"));
    };
    let header: Header = serde_json::from_str(header)
        .map_err(|e| wrong(format!("metadata '{ENTRY}' with {e}"), "a model saved by asyncsgd"))?;
    if header.format != FORMAT {
        let found = format!("model format {}", header.format);
        return Err(wrong(found, &format!("format {FORMAT}, which this version reads")));
    }
    let tensors = SafeTensors::deserialize(bytes).map_err(damaged)?;
    let (weights, shape, precision) = numbers(&tensors, "weights", file)?;
    let Ok(loss) = header.loss.parse::<LossKind>() else {
        return Err(wrong(format!("loss '{}'", header.loss), "a loss that this version knows"));
    };
    let classes = header.classes.unwrap_or_default();
    let distinct = classes.iter().enumerate().all(|(i, class)| !classes[..i].contains(class));
    if loss.is_classification() != (classes.len() > 1) || !distinct {
        return Err(wrong(
            format!("{loss} loss with classes {classes:?}"),
            "two classes or more for a classifier only",
        ));
    }
    let outputs = if classes.len() > 2 { classes.len() } else { 1 };
    let (features, fits) = match *shape {
        [features] => (features, outputs == 1),
        [classes, features] => (features, outputs > 1 && classes == outputs),
        _ => (0, false),
    };
    if !fits {
        let expected = if outputs > 1 { format!("[{outputs}, features]") } else { "[features]".to_owned() };
        return Err(wrong(format!("tensor 'weights' of shape {shape:?}"), &expected));
    }
    let bias = match tensors.names().contains(&"bias") {
        true => numbers(&tensors, "bias", file)?.0,
        false => Vec::new(),
    };
    if !bias.is_empty() && bias.len() != outputs {
        return Err(wrong(format!("{} biases", bias.len()), &outputs.to_string()));
    }
    if let Some(fault) = header.columns.fault(features) {
        return Err(wrong(fault, "a model as it was saved"));
    }
    Ok(SavedModel {
        loss,
        l2: header.l2,
        l1: header.l1,
        classes,
        weights,
        bias,
        one_based: header.one_based,
        columns: header.columns,
        precision,
        provenance: header.provenance,
    })
}

/// The numbers of a tensor, all finite, with its shape.
pub(super) fn numbers(
    tensors: &SafeTensors<'_>,
    name: &str,
    file: &str,
) -> Result<(Vec<f64>, Vec<usize>, Precision)> {
    let wrong = |found: String, expected: &str| Error::input(file, 0, 0, found, expected);
    let tensor = tensors.tensor(name).map_err(|e| wrong(e.to_string(), "a model saved by asyncsgd"))?;
    let (data, shape) = (tensor.data(), tensor.shape());
    let (values, precision): (Vec<f64>, _) = match tensor.dtype() {
        Dtype::F32 => {
            let of = |c: &[u8; 4]| f64::from(f32::from_le_bytes(*c));
            (data.as_chunks().0.iter().map(of).collect(), Precision::F32)
        }
        Dtype::F64 => {
            (data.as_chunks().0.iter().map(|c: &[u8; 8]| f64::from_le_bytes(*c)).collect(), Precision::F64)
        }
        dtype => {
            let found = format!("tensor '{name}' of type {dtype} and shape {shape:?}");
            return Err(wrong(found, "numbers of type F32 or F64"));
        }
    };
    if let Some(at) = values.iter().position(|w| !w.is_finite()) {
        return Err(wrong(format!("{} at '{name}'[{at}]", values[at]), "finite weights"));
    }
    Ok((values, shape.to_vec(), precision))
}
