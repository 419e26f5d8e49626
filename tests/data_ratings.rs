//! Ratings and plain text: what is read, what is refused and how that is told.
#![cfg(not(loom))]

use asyncsgd::data::{Corpus, Entry, FieldRows, Ratings};
use std::collections::HashSet;

/// The ratings as text, sorted: user, item, value.
fn content(ratings: &Ratings) -> Vec<String> {
    let [users, items] = ratings.names();
    let name = |names: &[String], i: Option<usize>| i.map_or("?".to_owned(), |i| names[i].clone());
    let of = |p: usize| {
        let (user, item, value) = ratings.get(p);
        format!("{} {} {value}", name(users, user), name(items, item))
    };
    let mut all: Vec<String> = (0..ratings.len()).map(of).collect();
    all.sort();
    all
}

#[test]
fn every_form_reads_the_same() {
    let expected = ["7 12 4.5", "8 12 3", "8 3 -1"];
    for text in [
        "7::12::4.5::978300760\n8::12::3::978300761\n8::3::-1::978300762\n",
        "7\t12\t4.5\n8\t12\t3\n8\t3\t-1",
        "userId,movieId,rating,timestamp\r\n7,12,4.5,1\r\n8,12,3,2\r\n8,3,-1,3\r\n",
        "7,12,4.5\n\n8,12,3\n8,3,-1\n",
        "\"user\";\"item\";\"rating\"\n\"7\";\"12\";\"4.5\"\n\"8\";\"12\";\"3\"\n\"8\";\"3\";\"-1\"\n",
        "7 12 4.5\n8  12 3\n8 3 -1e0\n",
        "\u{feff}7,12,4.5\n8,12,3\n8,3,-1\n",
        "%%MatrixMarket matrix coordinate real general\n% comment\n9 20 3\n7 12 4.5\n8 12 3\n8 3 -1\n",
    ] {
        let ratings = Ratings::bytes("text", text, 1).unwrap();
        assert_eq!(content(&ratings), expected, "{text}");
        assert_eq!((ratings.users(), ratings.items()), (2, 2));
    }
    let words = Ratings::bytes("text", "ann smith,\"Heat, 1995\",5\nbob,x::y,4\n", 0).unwrap();
    assert_eq!(content(&words), ["ann smith Heat, 1995 5", "bob x::y 4"]);
}

#[test]
fn quotes_in_quoted_names_are_doubled() {
    let text = r#""a ""b""","c,""",1
"""",d,2
"#;
    let data = Ratings::bytes("t", text, 0).unwrap();
    let mut names = data.names().map(|names| names.to_vec());
    names.iter_mut().for_each(|names| names.sort());
    assert_eq!(names, [["\"", "a \"b\""], ["c,\"", "d"]]);
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    for (text, said) in [
        ("", "t: found no rating, expected at least one line of user, item and rating"),
        ("user,item,rating\n", "t: found no rating, expected at least one line of user, item and rating"),
        ("1,2,3\n4,5\n", "t:2: found 2 fields in '4,5', expected user, item and rating, and perhaps a time"),
        (
            "1,2,3\n4,5,6,7,8\n",
            "t:2: found 5 fields in '4,5,6,7,8', expected user, item and rating, and perhaps a time",
        ),
        ("1,2,3\n\n4,5,x\n", "t:3: found rating 'x', expected a finite number"),
        ("1,2,x\n", "t:1: found rating 'x', expected a finite number"),
        ("1::2::nan\n", "t:1: found rating 'nan', expected a finite number"),
        ("1,2,1e99\n", "t:1: found rating '1e99', expected a finite number"),
        // What may have been meant for a rating is no header.
        ("ann,alien,1e39\n", "t:1: found rating '1e39', expected a finite number"),
        ("ann,alien,nan\n", "t:1: found rating 'nan', expected a finite number"),
        ("ann,alien,+-3\n", "t:1: found rating '+-3', expected a finite number"),
        ("ann,alien,\n", "t:1: found rating '', expected a finite number"),
        ("1,2,3\nu,i,r\n", "t:2: found rating 'r', expected a finite number"),
        (",2,3\n", "t:1: found an empty name in ',2,3', expected a user and an item"),
        ("\"1\"\",2,3\n", r#"t:1: found a quote that is not closed in '"1"",2,3', expected fields"#),
        ("\"1,2,3\n", "t:1: found a quote that is not closed in '\"1,2,3', expected fields"),
        (
            "%%MatrixMarket matrix array real general\n1 1\n1\n",
            "t:1: found '%%matrixmarket matrix array real general', expected %%MatrixMarket matrix coordinate real (or \
             integer) general",
        ),
        (
            "%%MatrixMarket matrix coordinate real general\n2 x 1\n",
            "t:2: found '2 x 1', expected rows, columns and entries",
        ),
        (
            "%%MatrixMarket matrix coordinate real general\n",
            "t: found the end, expected a line of rows, columns and entries",
        ),
        (
            "%%MatrixMarket matrix coordinate real general\n2 2 1\n3 1 5\n",
            "t:3: found row '3', expected 1 to 2",
        ),
        (
            "%%MatrixMarket matrix coordinate real general\n2 2 1\n1 0 5\n",
            "t:3: found column '0', expected 1 to 2",
        ),
        (
            "%%MatrixMarket matrix coordinate real general\n2 2 2\n1 1 5\n",
            "t: found 1 entries, expected 2, as its head says",
        ),
        (
            "%%MatrixMarket matrix coordinate real general\n2 2 1\n1 1 x\n",
            "t:3: found value 'x', expected a finite number",
        ),
    ] {
        assert_eq!(Ratings::bytes("t", text, 0).unwrap_err().to_string(), said);
    }
    let said = Ratings::bytes("t", &b"a,b,1\n\n\xff,1,2\n"[..], 0).unwrap_err().to_string();
    assert!(said.starts_with("t:3: found name ") && said.ends_with("expected UTF-8 text"), "{said}");
}

#[test]
fn a_header_is_told_where_it_is_in_doubt() {
    let header = |text: &str| Ratings::bytes("t", text, 0).unwrap().header().map(str::to_owned);
    assert_eq!(header("who,what,good\nann,alien,3\n").as_deref(), Some("'who,what,good'"));
    // Not where users or items are numbers, or there is none.
    assert_eq!(header("who,what,good\n7,alien,3\n"), None);
    assert_eq!(header("ann,alien,3\n"), None);
}

/// Longer than a task reads: who appears in several pieces is one, and a line is numbered from the text's beginning.
#[test]
fn a_long_text_is_read_in_pieces_as_one() {
    let (long, lines) = ("x".repeat(600), 4000u32);
    let line = |k: u32| format!("{},{long}{},{}\n", k * k % 97, k * 7919 % 53, k % 5);
    let text = "user,item,rating\n".to_owned() + &(0..lines).map(line).collect::<String>();
    assert!(text.len() > 2 << 20);
    let ratings = Ratings::bytes("t", text.clone(), 3).unwrap();
    let [users, items] = ratings.names();
    assert_eq!((ratings.len(), items.len()), (lines as usize, 53));
    for p in 0..ratings.len() {
        let (k, (user, item, value)) = (ratings.lines()[p] - 2, ratings.get(p));
        assert_eq!(users[user.unwrap()], (k * k % 97).to_string());
        assert_eq!(items[item.unwrap()][600..], (k * 7919 % 53).to_string());
        assert_eq!(value, (k % 5) as f32);
    }
    let said = Ratings::bytes("t", text + "a,b\n", 0).unwrap_err().to_string();
    assert_eq!(said, "t:4002: found 2 fields in 'a,b', expected user, item and rating, and perhaps a time");
}

fn many() -> Ratings {
    let line = |k: u32| format!("{},{},{}\n", k * k % 97, k * 7919 % 53, k % 5);
    let text: String = (0..4000).map(line).collect();
    Ratings::bytes("many", text, 3).unwrap()
}

#[test]
fn blocks_of_different_parts_share_nobody() {
    let ratings = many();
    let (side, bounds) = (ratings.side(), ratings.bounds());
    assert!(side >= 16 && bounds.len() == side * side + 1);
    assert_eq!((bounds[0], bounds[side * side]), (0, ratings.len()));
    let met = |block: usize| {
        let known = (bounds[block]..bounds[block + 1]).map(|p| ratings.get(p));
        known.map(|(u, i, _)| (u.unwrap(), i.unwrap())).unzip::<_, _, HashSet<_>, HashSet<_>>()
    };
    let all: Vec<_> = (0..side * side).map(met).collect();
    for a in 0..side * side {
        for b in 0..a {
            assert!(a / side == b / side || all[a].0.is_disjoint(&all[b].0), "users of {a} and {b}");
            assert!(a % side == b % side || all[a].1.is_disjoint(&all[b].1), "items of {a} and {b}");
        }
    }
    let sorted = |block: usize| (bounds[block]..bounds[block + 1]).map(|p| ratings.get(p).0).is_sorted();
    assert!((0..side * side).all(sorted), "a user's ratings lie together");
}

#[test]
fn a_split_has_every_rating_once_and_knows_what_was_trained() {
    let ratings = many();
    let (train, test) = ratings.split(0.2, 7).unwrap();
    let mut both = [content(&train), content(&test)].concat();
    both.sort();
    assert_eq!(both, content(&ratings));
    assert!((700..900).contains(&test.len()), "{}", test.len());
    assert_eq!(content(&ratings.split(0.2, 7).unwrap().1), content(&test));
    let one = Ratings::bytes("one", "a,b,1\n", 0).unwrap();
    assert!(one.split(0.5, 0).unwrap_err().to_string().contains("expected a part on both sides"));
}

#[test]
fn a_corpus_has_the_words_above_the_cut_by_frequency() {
    let corpus = Corpus::bytes("text", "b a  a\n\nc a b\r\nb rare a\n", 2).unwrap();
    assert_eq!(corpus.words(), ["a", "b"]);
    assert_eq!(corpus.counts(), [4, 3]);
    let first = Corpus::FIRST;
    // The rare word and c are gone; what follows c begins its sentence.
    assert_eq!(corpus.tokens(), [1 | first, 0, 0, first, 1, 1 | first, 0]);
    assert_eq!(corpus.length(), 9);
    let said = |text: &[u8], cut: u64| Corpus::bytes("t", text, cut).unwrap_err().to_string();
    let expected = "expected at least two different words to train";
    assert_eq!(said(b"", 1), format!("t: found 0 words that occur 1 times or more, {expected}"));
    assert_eq!(said(b"a b a", 2), format!("t: found 1 words that occur 2 times or more, {expected}"));
    assert_eq!(said(b"a\nb \xff", 1), "t:2: found byte 0xff, which is not UTF-8, expected text in UTF-8");
}

#[test]
fn rows_with_fields_are_read_and_scaled() {
    let rows = FieldRows::bytes("rows", "1 0:5:3 2:9:4\r\n\n0 0:5:2\n", 1).unwrap();
    assert_eq!((rows.len(), rows.fields(), rows.ids()), (2, 3, &[5, 9][..]));
    let long = (0..2).find(|&r| rows.row(r).len() == 2).unwrap();
    let expected = [Entry { field: 0, feature: 0, value: 0.6 }, Entry { field: 2, feature: 1, value: 0.8 }];
    assert_eq!((rows.row(long), rows.row(1 - long)[0].value), (&expected[..], 1.0));
    let labels = rows.clone().binary().unwrap();
    assert_eq!(
        (labels.labels()[long], labels.labels()[1 - long], labels.classes()),
        (1.0, -1.0, Some([0.0, 1.0]))
    );
    assert!(
        rows.binary_as([0.0, 2.0])
            .unwrap_err()
            .to_string()
            .contains("rows:1: found label 1, expected 0 or 2")
    );
    for (text, said) in [
        ("", "t: found no row, expected at least one (label field:feature:value …)"),
        ("1 0:1:1\nx 0:1:1\n", "t:2: found 'x', expected a label, a finite number"),
        ("1 1:1\n", "t:1: found '1:1', expected field:feature:value"),
        ("1 -1:1:1\n", "t:1: found '-1:1:1', expected field:feature:value"),
        ("1 1:1:inf\n", "t:1: found '1:1:inf', expected field:feature:value"),
        ("1 1:1:1:1\n", "t:1: found '1:1:1:1', expected field:feature:value"),
        ("1 5000:1:1\n", "t:1: found '5000:1:1', expected a field of at most 4095"),
        ("1 1:268435456:1\n", "t:1: found '1:268435456:1', expected a feature of at most 268435455"),
    ] {
        assert_eq!(FieldRows::bytes("t", text, 0).unwrap_err().to_string(), said);
    }
    let one = FieldRows::bytes("t", "1 0:1:1\n", 0).unwrap().binary().unwrap_err().to_string();
    assert_eq!(one, "t: found only the label 1, expected two classes");
    let more = FieldRows::bytes("t", "1 0:1:1\n\n0 0:1:1\n3 0:1:1\n2 0:1:1\n", 0).unwrap();
    let third = more.binary().unwrap_err().to_string();
    assert_eq!(third, "t:4: found a third label, 3, expected two classes, as are 1 and 0");
}

#[test]
fn to_predict_pairs_need_no_ratings() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pairs");
    let names = [["ann", "bob"].map(str::to_owned).to_vec(), ["x", "y"].map(str::to_owned).to_vec()];
    let header = std::cell::Cell::new(None);
    let read = |text: &str| {
        std::fs::write(&path, text).unwrap();
        let read = Ratings::like_names(&path, &names)?;
        header.set(read.header().map(str::to_owned));
        Ok::<_, asyncsgd::Error>((0..read.len()).map(|p| read.get(p)).collect::<Vec<_>>())
    };
    let users = |text: &str| read(text).unwrap().iter().map(|rating| rating.0).collect::<Vec<_>>();
    assert_eq!(users("bob,x\nann,y\n"), [Some(1), Some(0)]);
    assert!(read("bob,x\n").unwrap()[0].2.is_nan());
    // A header is no pair, but one of which something is known, or that has a number, is.
    assert_eq!((users("userId,movieId\nbob,x\n"), header.take()), (vec![Some(1)], None));
    // Where the next is not known either that is a guess.
    assert_eq!((users("eve,z\nfay,w\n"), header.take().as_deref()), (vec![None], Some("'eve z'")));
    assert_eq!(users("eve,x\nbob,x\n"), [None, Some(1)]);
    assert_eq!(users("eve,7\nbob,x\n"), [None, Some(1)]);
    assert_eq!(read("user,item,rating\nbob,x,4\n").unwrap(), [(Some(1), Some(0), 4.0)]);
    for bad in ["user,item\n", "bob\n", "bob,x,5\nbob,x,good\n"] {
        assert_eq!(read(bad).unwrap_err().exit_code(), 2, "{bad}");
    }
    // Trained is on ratings.
    std::fs::write(&path, "bob,x\n").unwrap();
    assert!(Ratings::open(&path, 0).is_err());
}
