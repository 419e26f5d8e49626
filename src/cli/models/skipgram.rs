//! Word vectors.

use super::Kind;
use crate::cli::load::Source;
use crate::cli::options::Training;
use crate::cli::predict::Args;
use asyncsgd::record::{Data, Outcome, Record};
use asyncsgd::{
    Error, Real, Result, Run,
    data::Corpus,
    model::{Model, Tensor, TensorModel},
    output,
};
use rayon::prelude::*;
use serde_json::json;
use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

/// Skip-gram as `--model` asks for it.
#[derive(Debug, Clone)]
pub struct SkipGram {
    pub model: asyncsgd::model::SkipGram,
    pub min_count: u64,
}

impl Kind for SkipGram {
    type Data = Corpus;

    fn load(&self, source: &Source, _: &Training) -> Result<(Corpus, Option<Corpus>)> {
        Ok((Corpus::open(source.file(), self.min_count)?, None))
    }

    fn examples(&self, data: &Corpus) -> usize {
        data.tokens().len()
    }

    fn about(&self, data: &Corpus, _: bool) -> Data {
        Data {
            path: data.name().into(),
            rows: data.tokens().len(),
            features: data.words().len(),
            nonzeros: data.tokens().len(),
            hash: data.hash().into(),
            words: Some(data.length()),
            ..Data::default()
        }
    }

    fn model<T: Real>(&self, _: &Training) -> impl Model<T, Data = Corpus> {
        self.model
    }

    fn objective(&self, _: &Training, _: &Corpus) -> (String, f64) {
        ("logistic".into(), 0.0)
    }

    fn outcome<T: Real>(&self, _: &Training, _: &Corpus, _: Option<&Corpus>, _: &Run<T>) -> Result<Outcome> {
        Ok(Outcome { on: "train".into(), ..Outcome::default() })
    }

    /// word2vec's text (.vec, .txt) or binary format, the most frequent word first; or a tensor `vectors`
    /// \[words, dimensions\].
    fn save<T: Real>(
        &self,
        path: &Path,
        options: &Training,
        train: &Corpus,
        run: &Run<T>,
        record: &Record,
    ) -> Result<()> {
        let vectors = Model::<f32>::bind(&self.model, train)?.vectors(&run.weights);
        let words = train.words();
        let dimensions = vectors.len() / words.len();
        let rows = || words.iter().zip(vectors.chunks_exact(dimensions));
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("safetensors") => {
                let tensor = Tensor::new("vectors", &[words.len(), dimensions], &vectors);
                let mut model = super::tensors(options, record, vec![tensor]);
                model.about.insert("words".into(), json!(words));
                model.save(path)
            }
            Some("bin") => output::write_with(path, |file| {
                let mut out = std::io::BufWriter::new(file);
                writeln!(out, "{} {dimensions}", words.len())?;
                for (word, row) in rows() {
                    write!(out, "{word} ")?;
                    row.iter().try_for_each(|x| out.write_all(&(x.to_f64() as f32).to_le_bytes()))?;
                    writeln!(out)?;
                }
                out.flush()
            }),
            _ => output::write_with(path, |file| {
                let mut out = std::io::BufWriter::new(file);
                writeln!(out, "{} {dimensions}", words.len())?;
                for (word, row) in rows() {
                    write!(out, "{word}")?;
                    row.iter().try_for_each(|x| write!(out, " {x}"))?;
                    writeln!(out)?;
                }
                out.flush()
            }),
        }
    }
}

/// Neighbours printed of a word unless said.
const TOP: usize = 10;

/// For each line of the file: of one word its nearest neighbours with their cosines, of three words a, b and c the word
/// that is to c as b is to a, of four words that too, and how often it is the fourth. Lines of a colon and words are
/// headings (as in word2vec's questions).
///
/// # Errors
/// Where model, data or options do not fit, or the output cannot be written.
pub fn predict(model: &TensorModel, file: &str, args: &Args) -> Result<u8> {
    args.check("word vectors", &["--top"])?;
    let (path, output) = args.ends()?;
    let words: Vec<String> = model.entry("words", file)?;
    let dimensions = model.tensors.first().and_then(|t| t.shape.get(1)).copied().unwrap_or(0).max(1);
    // Of length 1, so that products are cosines.
    let vectors = model.tensor("vectors", &[words.len(), dimensions], file)?;
    let unit = |row: &[f64]| {
        let length = row.iter().map(|x| x * x).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
        row.iter().map(|x| (x / length) as f32).collect::<Vec<f32>>()
    };
    let vectors: Vec<Vec<f32>> = vectors.chunks_exact(dimensions).map(unit).collect();
    let number: HashMap<&str, usize> = words.iter().enumerate().map(|(i, word)| (&**word, i)).collect();
    let (name, text) = asyncsgd::data::read_text(path)?;
    let mut questions = Vec::new();
    for (line, text) in (1..).zip(text.lines()) {
        // Words are what they are in a corpus.
        let found: Vec<&str> = text.split_ascii_whitespace().collect();
        if found.len() > 1 && found[0] == ":" {
            continue;
        }
        if !matches!(found.len(), 0 | 1 | 3 | 4) {
            let found = format!("{} words", found.len());
            return Err(Error::input(&*name, line, 0, found, "one word, or three or four of an analogy"));
        }
        // As they stand, or else in lower case.
        let known = |word: &&str| number.get(*word).or_else(|| number.get(&*word.to_lowercase())).copied();
        questions
            .extend((!found.is_empty()).then(|| found.iter().map(known).collect::<Option<Vec<usize>>>()));
    }
    let top = args.top.map_or(TOP, |top| top as usize);
    let answer = |question: &Option<Vec<usize>>| -> Vec<(f32, usize)> {
        let Some(question) = question else { return Vec::new() };
        let row = |i: usize| vectors[question[i]].iter();
        let target: Vec<f32> = match question.len() {
            1 => row(0).copied().collect(),
            _ => row(1).zip(row(0)).zip(row(2)).map(|((b, a), c)| b - a + c).collect(),
        };
        let asked = &question[..question.len().min(3)];
        let wanted = if question.len() == 1 { top } else { args.top.map_or(1, |top| top as usize) };
        let cosine = |v: &[f32]| v.iter().zip(&target).map(|(a, b)| a * b).sum::<f32>();
        let others = (0..words.len()).filter(|i| !asked.contains(i));
        let mut all: Vec<(f32, usize)> = others.map(|i| (cosine(&vectors[i]), i)).collect();
        let better = |a: &(f32, usize), b: &(f32, usize)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
        if wanted < all.len() {
            all.select_nth_unstable_by(wanted, better);
            all.truncate(wanted);
        }
        all.sort_by(better);
        all
    };
    let answers: Vec<Vec<(f32, usize)>> = questions.par_iter().map(answer).collect();
    output.write(|out| {
        answers.iter().try_for_each(|answer| {
            let told: Vec<String> =
                answer.iter().map(|(cosine, i)| format!("{} {cosine:.4}", words[*i])).collect();
            writeln!(out, "{}", if told.is_empty() { "?".to_owned() } else { told.join("\t") })
        })
    })?;
    let known = || {
        questions.iter().zip(&answers).filter_map(|(q, a)| Some((q.as_ref().filter(|q| q.len() == 4)?, a)))
    };
    let total = known().count();
    if !args.quiet && total > 0 {
        let right = known().filter(|(q, a)| a.first().is_some_and(|(_, i)| *i == q[3])).count();
        let share = 100.0 * right as f64 / total as f64;
        crate::cli::say(format_args!(
            "accuracy {share:.2} % ({total} analogies of known words of {})",
            questions.len()
        ));
    }
    Ok(0)
}
