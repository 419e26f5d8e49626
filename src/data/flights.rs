//! The embedded data: will this flight arrive late? Rebuilt by `tools/make_flights.sh`.

use super::columns::Columns;
use super::dataset::Dataset;
use super::loader::Loader;
use super::source::{Bytes, Input};
use crate::error::Result;

impl Dataset {
    /// The embedded data set (train, test): flights that left New York in 2013, label +1 where one arrived
    /// 15 minutes late or more (24 %). 261,841 + 65,505 rows, 10,639 named features of which each row has
    /// 13: what is known when the ticket is bought. From nycflights13, public domain (CC0).
    ///
    /// The training rows are laid out by `seed`, the test rows in their original order.
    ///
    /// # Errors
    /// None that the unchanged program could meet.
    pub fn flights(seed: u64) -> Result<(Self, Self)> {
        const TRAIN: &[u8] = include_bytes!("embedded/flights.xz");
        const TEST: &[u8] = include_bytes!("embedded/flights.t.xz");
        const NAMES: &[u8] = include_bytes!("embedded/flights.names.xz");
        let (names, mut buffer) = (Bytes::Static(NAMES).unpacked("flights.names")?, Vec::new());
        let names = names.part(0, names.len(), &mut buffer)?;
        let names = String::from_utf8_lossy(names).lines().map(str::to_owned).collect();
        let columns = Columns { names: Some(names), ..Columns::default() };
        let train = Loader::from(Input::Static("flights", TRAIN)).seed(seed).load()?.with_columns(columns)?;
        let test = Loader::from(Input::Static("flights.t", TEST)).like(&train).load()?;
        Ok((train, test))
    }
}
