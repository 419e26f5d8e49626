//! The embedded data set is what it says.

use asyncsgd::{Dataset, Row};

#[test]
fn flights_have_their_shape_and_names() {
    let (train, test) = Dataset::flights(1).unwrap();
    assert_eq!((train.len(), train.features(), train.nonzeros()), (261_841, 10_639, 3_403_933));
    assert_eq!((test.len(), test.features(), test.nonzeros()), (65_505, 10_639, 851_565));
    assert_eq!(train.feature_order(), test.feature_order());
    assert!(test.order().is_sorted(), "a test set stays in the order of its file");
    assert!(!train.order().is_sorted(), "a training set is shuffled");

    let late = train.labels().iter().filter(|&&label| label == 1.0).count() as f64;
    assert!((late / 261_841.0 - 0.2447).abs() < 1e-3, "{late} late");

    // Every row has the constant and the distance, and one feature of each of the eleven groups.
    let names = |row: Row| -> Vec<String> {
        row.ids().iter().map(|&id| train.feature_name(id as usize).unwrap().to_owned()).collect()
    };
    let groups = ["month", "weekday", "yearday", "hour", "carrier", "origin", "dest", "carrier-dest", "tail"];
    for i in (0..train.len()).step_by(1000) {
        let names = names(train.row(i));
        assert_eq!(names.len(), 13, "{names:?}");
        assert!(names[..2].iter().all(|name| name == "constant" || name == "distance"), "{names:?}");
        for group in groups.iter().chain(&["origin-hour", "flight"]) {
            let of_group = names.iter().filter(|name| name.starts_with(&format!("{group}="))).count();
            assert_eq!(of_group, 1, "{group} in {names:?}");
        }
    }

    let counts = train.counts();
    assert!(counts.is_sorted_by(|a, b| a >= b), "ranks go by falling frequency");
    assert_eq!(counts[0], 261_841);
}
