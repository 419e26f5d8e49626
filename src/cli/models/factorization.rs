//! Matrix factorizations of ratings.

use super::Kind;
use crate::cli::load::Source;
use crate::cli::options::Training;
use crate::cli::predict::Args;
use asyncsgd::record::{Data, Outcome, Record};
use asyncsgd::{
    Real, Result, Run,
    data::Ratings,
    model::{Factors, MatrixFactorization, Model, Tensor, TensorModel},
};
use serde_json::json;
use std::collections::HashSet;
use std::path::Path;

/// A factorization as `--model` asks for it.
#[derive(Debug, Clone)]
pub struct Factorization {
    pub rank: usize,
    pub nonnegative: bool,
}

impl Factorization {
    fn spec(&self, options: &Training) -> MatrixFactorization {
        let model = match self.nonnegative {
            true => MatrixFactorization::nonnegative(self.rank),
            false => MatrixFactorization::new(self.rank),
        };
        model.with_l2(options.l2.unwrap_or(MatrixFactorization::L2))
    }

    fn factors(&self, options: &Training, train: &Ratings) -> Result<Factors> {
        Ok(*Model::<f32>::bind(&self.spec(options), train)?.factors())
    }
}

impl Kind for Factorization {
    type Data = Ratings;

    fn load(&self, source: &Source, options: &Training) -> Result<(Ratings, Option<Ratings>)> {
        let train = Ratings::open(source.file(), options.seed)?;
        tell_header(&train);
        match (&source.test, source.test_fraction) {
            (Some(test), _) => {
                let test = Ratings::like(test, &train)?;
                tell_header(&test);
                Ok((train, Some(test)))
            }
            (None, Some(fraction)) => {
                let (train, test) = train.split(fraction, options.seed)?;
                Ok((train, Some(test)))
            }
            (None, None) => Ok((train, None)),
        }
    }

    fn examples(&self, data: &Ratings) -> usize {
        data.len()
    }

    /// Of the users and items that the training data know, those that are rated here.
    fn about(&self, data: &Ratings, _: bool) -> Data {
        let mut rated = [vec![false; data.users()], vec![false; data.items()]];
        for (user, item, _) in (0..data.len()).map(|p| data.get(p)) {
            user.into_iter().for_each(|user| rated[0][user] = true);
            item.into_iter().for_each(|item| rated[1][item] = true);
        }
        let [users, items] = rated.map(|rated| rated.into_iter().filter(|rated| *rated).count());
        Data {
            path: data.name().into(),
            rows: data.len(),
            features: users + items,
            nonzeros: 2 * data.len(),
            hash: data.hash().into(),
            users: Some(users),
            items: Some(items),
            ..Data::default()
        }
    }

    fn model<T: Real>(&self, options: &Training) -> impl Model<T, Data = Ratings> {
        self.spec(options)
    }

    fn objective(&self, options: &Training, _: &Ratings) -> (String, f64) {
        ("squared".into(), options.l2.unwrap_or(MatrixFactorization::L2))
    }

    fn outcome<T: Real>(
        &self,
        options: &Training,
        train: &Ratings,
        test: Option<&Ratings>,
        run: &Run<T>,
    ) -> Result<Outcome> {
        let (rmse, mae) = errors(&self.factors(options, train)?, &run.weights, test.unwrap_or(train));
        let on = if test.is_some() { "test" } else { "train" }.into();
        Ok(Outcome { on, rmse: Some(rmse), mae: Some(mae), ..Outcome::default() })
    }

    /// Tensors `users` \[users, rank\], `items`, `user_biases` \[users\] and `item_biases`, in the order of the names.
    fn save<T: Real>(
        &self,
        path: &Path,
        options: &Training,
        train: &Ratings,
        run: &Run<T>,
        record: &Record,
    ) -> Result<()> {
        let f = self.factors(options, train)?;
        let rows = |count: usize, start: &dyn Fn(usize) -> usize| {
            (0..count)
                .flat_map(|i| run.weights[start(i)..start(i) + f.rank].iter().copied())
                .collect::<Vec<T>>()
        };
        let biases = |count: usize, start: usize| &run.weights[start..start + count];
        let all = vec![
            Tensor::new("users", &[f.users, f.rank], &rows(f.users, &|u| f.user(u))),
            Tensor::new("items", &[f.items, f.rank], &rows(f.items, &|i| f.item(i))),
            Tensor::new("user_biases", &[f.users], biases(f.users, f.user_bias(0))),
            Tensor::new("item_biases", &[f.items], biases(f.items, f.item_bias(0))),
        ];
        let mut model = super::tensors(options, record, all);
        let [users, items] = train.names();
        let about = [
            ("users", json!(users)),
            ("items", json!(items)),
            ("mean", json!(f.mean)),
            ("scale", json!(f.scale)),
        ];
        model.about.extend(about.map(|(key, value)| (key.to_owned(), value)));
        model.save(path)
    }
}

/// Says that the first line counts for a header, if that is in doubt.
fn tell_header(data: &Ratings) {
    if let Some(line) = data.header() {
        let name = data.name();
        crate::cli::say(format_args!("{name}: the first line, {line}, is taken for a header"));
    }
}

/// RMSE and MAE on these ratings.
fn errors<T: Real>(factors: &Factors, weights: &[T], data: &Ratings) -> (f64, f64) {
    let error = |p: usize| {
        let (user, item, value) = data.get(p);
        factors.rating(weights, user, item) - f64::from(value)
    };
    let (squares, sum) = (0..data.len()).map(error).fold((0.0, 0.0), |(s, a), e| (s + e * e, a + e.abs()));
    let n = data.len() as f64;
    ((squares / n).sqrt(), sum / n)
}

/// Predicts the ratings of a file of ratings or of users and items, one line each, or with `--top N` the best N items for
/// each of its users besides those that it rates.
///
/// # Errors
/// Where model, data or options do not fit, or the output cannot be written.
pub fn predict(model: &TensorModel, nonnegative: bool, file: &str, args: &Args) -> Result<u8> {
    args.check("a factorization of ratings", &["--top"])?;
    let (path, output) = args.ends()?;
    let names: [Vec<String>; 2] = [model.entry("users", file)?, model.entry("items", file)?];
    let [users, items] = [names[0].len(), names[1].len()];
    let rank =
        model.tensors.iter().find(|t| t.name == "users").and_then(|t| t.shape.get(1)).copied().unwrap_or(0);
    let (mean, scale): (f64, f64) = (model.entry("mean", file)?, model.entry("scale", file)?);
    let factors = Factors { users, items, rank, mean, scale, nonnegative };
    // What the file claims takes memory only once it is seen to hold it.
    let rows = [model.tensor("users", &[users, rank], file)?, model.tensor("items", &[items, rank], file)?];
    let biases = [model.tensor("user_biases", &[users], file)?, model.tensor("item_biases", &[items], file)?];
    let mut weights = vec![0f64; factors.parameters()];
    for (rows, start) in rows.into_iter().zip([factors.user(0), factors.item(0)]) {
        let rows = rows.chunks_exact(rank.max(1)).enumerate();
        rows.for_each(|(i, row)| weights[start + i * factors.stride()..][..rank].copy_from_slice(row));
    }
    for (biases, start) in biases.into_iter().zip([factors.user_bias(0), factors.item_bias(0)]) {
        weights[start..start + biases.len()].copy_from_slice(biases);
    }
    let data = Ratings::like_names(path, &names)?;
    tell_header(&data);
    if let Some(top) = args.top {
        let seen: HashSet<(usize, usize)> =
            (0..data.len()).map(|p| data.get(p)).filter_map(|(u, i, _)| u.zip(i)).collect();
        output.write(|out| {
            let mut told = HashSet::new();
            for user in (0..data.len()).filter_map(|p| data.get(p).0).filter(|&user| told.insert(user)) {
                let rating = |item: usize| (factors.rating(&weights, Some(user), Some(item)), item);
                let unseen = (0..items).filter(|&item| !seen.contains(&(user, item)));
                let mut best: Vec<(f64, usize)> = unseen.map(rating).collect();
                best.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
                for (rating, item) in best.into_iter().take(top as usize) {
                    writeln!(out, "{}\t{}\t{rating:.4}", names[0][user], names[1][item])?;
                }
            }
            Ok(())
        })?;
        let unknown = (0..data.len()).filter(|&p| data.get(p).0.is_none()).count();
        if unknown > 0 && !args.quiet {
            let [unknown, all] = [unknown, data.len()].map(|n| asyncsgd::report::count(n as u64));
            crate::cli::say(format_args!(
                "left out: {unknown} of {all}, whose users the model does not know"
            ));
        }
        return Ok(0);
    }
    output.write(|out| {
        (0..data.len()).try_for_each(|p| {
            let (user, item, _) = data.get(p);
            writeln!(out, "{}", factors.rating(&weights, user, item))
        })
    })?;
    if args.quiet {
        return Ok(0);
    }
    let rows = asyncsgd::report::count(data.len() as u64);
    if data.values().iter().all(|rating| rating.is_finite()) {
        let (rmse, mae) = errors(&factors, &weights, &data);
        crate::cli::say(format_args!("RMSE {rmse:.5} · MAE {mae:.5} ({rows} ratings)"));
    }
    let known = |p: &usize| matches!(data.get(*p), (Some(_), Some(_), _));
    let unknown = data.len() - (0..data.len()).filter(known).count();
    if unknown > 0 {
        let unknown = asyncsgd::report::count(unknown as u64);
        let bias = if nonnegative { "" } else { ", and the bias of the other" };
        crate::cli::say(format_args!(
            "{unknown} of {rows} are of a user or an item that the model does not know: predicted by the mean, \
             {mean:.4}{bias}"
        ));
    }
    Ok(0)
}
