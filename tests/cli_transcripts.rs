//! What the program says, word for word: `tests/cli/*.trycmd`. `TRYCMD=overwrite` writes them anew.

#[test]
fn transcripts() {
    trycmd::TestCases::new().case("tests/cli/*.trycmd").env("COLUMNS", "100");
}
