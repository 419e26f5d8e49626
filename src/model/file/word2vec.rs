//! Word vectors in word2vec's formats, which gensim and fastText write too: a line with the number of words and that of
//! dimensions, then of each word itself, a blank and its vector; as text, a line each, or as little-endian f32, after
//! which a line may end.

use super::{Precision, Tensor, TensorModel};
use crate::error::{Error, Result};
use serde_json::json;
use std::collections::BTreeMap;

/// The words and their vectors, one after the other; what is wrong, and on which line or at which byte.
type Vectors = std::result::Result<(Vec<String>, Vec<f64>), (usize, String, String)>;

/// The model of these bytes; `None` where they do not begin with two numbers on a line.
///
/// # Errors
/// [`Error::Input`] where they do, and then do not say what that line says.
pub(super) fn read(bytes: &[u8], file: &str) -> Result<Option<TensorModel>> {
    let end = bytes.iter().take(64).position(|&byte| byte == b'\n');
    let Some((head, rest)) = end.map(|end| (&bytes[..end], &bytes[end + 1..])) else { return Ok(None) };
    let sizes: Option<Vec<usize>> = std::str::from_utf8(head)
        .ok()
        .and_then(|head| head.split_whitespace().map(|n| n.parse().ok()).collect());
    let Some(&[words, dimensions]) = sizes.as_deref() else { return Ok(None) };
    if words == 0 || dimensions == 0 {
        let found = format!("{words} words of {dimensions} dimensions");
        return Err(Error::input(file, 1, 0, found, "at least one of each"));
    }
    let first = rest.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let is_text = numbers(first).is_some_and(|(_, vector)| vector.len() == dimensions);
    let read = if is_text { text(rest, dimensions) } else { binary(rest, words, dimensions, head.len() + 1) };
    let wrong =
        |(line, found, expected): (usize, String, String)| Error::input(file, line, 0, found, expected);
    let (names, values) = read.map_err(wrong)?;
    if names.len() != words {
        let found = format!("{} words", names.len());
        return Err(Error::input(file, 0, 0, found, format!("{words}, as its first line says")));
    }
    Ok(Some(TensorModel {
        model: format!("skipgram:{dimensions}"),
        about: BTreeMap::from([("words".to_owned(), json!(names))]),
        tensors: vec![Tensor { name: "vectors".into(), shape: vec![words, dimensions], values }],
        precision: Precision::F32,
        provenance: BTreeMap::new(),
    }))
}

/// A word and the finite numbers behind it.
fn numbers(line: &[u8]) -> Option<(&[u8], Vec<f64>)> {
    let mut fields = line.trim_ascii_end().split(|&byte| byte == b' ');
    let word = fields.next()?;
    let number = |field| fast_float2::parse::<f32, _>(field).ok().filter(|x| x.is_finite()).map(f64::from);
    Some((word, fields.map(number).collect::<Option<_>>()?))
}

fn named(word: &[u8], line: usize) -> std::result::Result<String, (usize, String, String)> {
    let shown = |_| (line, format!("word '{}'", word.escape_ascii()), "UTF-8 text".to_owned());
    std::str::from_utf8(word).map(str::to_owned).map_err(shown)
}

fn text(rest: &[u8], dimensions: usize) -> Vectors {
    let (mut words, mut values) = (Vec::new(), Vec::new());
    let lines = (2..).zip(rest.split(|&byte| byte == b'\n'));
    for (line, text) in lines.filter(|(_, text)| !text.trim_ascii().is_empty()) {
        match numbers(text).filter(|(_, vector)| vector.len() == dimensions) {
            Some((word, vector)) => {
                words.push(named(word, line)?);
                values.extend(vector);
            }
            None => {
                let text = String::from_utf8_lossy(&text[..text.len().min(40)]).into_owned();
                return Err((line, format!("'{text}'"), format!("a word and {dimensions} finite numbers")));
            }
        }
    }
    Ok((words, values))
}

fn binary(rest: &[u8], count: usize, dimensions: usize, before: usize) -> Vectors {
    let (mut words, mut values, mut at) = (Vec::new(), Vec::new(), 0);
    while words.len() < count {
        at += usize::from(rest.get(at) == Some(&b'\n'));
        let blank = rest[at..].iter().position(|&byte| byte == b' ').map(|blank| at + blank);
        let vector = blank.and_then(|blank| {
            let end = dimensions.checked_mul(4)?.checked_add(blank + 1)?;
            Some((&rest[at..blank], rest.get(blank + 1..end)?, end))
        });
        let Some((word, vector, end)) = vector else {
            let found = format!("the end at byte {}, after {} words", before + rest.len(), words.len());
            return Err((0, found, format!("{count} words, each with {dimensions} numbers")));
        };
        words.push(named(word, 0)?);
        values.extend(vector.as_chunks().0.iter().map(|x| f64::from(f32::from_le_bytes(*x))));
        if let Some(x) = values[values.len() - dimensions..].iter().find(|x| !x.is_finite()) {
            return Err((0, format!("{x} before byte {}", before + end), "finite numbers".into()));
        }
        at = end;
    }
    match rest[at..].trim_ascii().is_empty() {
        true => Ok((words, values)),
        false => Err((0, format!("more than {count} words"), "the end, as the first line says".into())),
    }
}
