//! The text form of rules: printed and read back identically, and helpful when it is wrong.

use asyncsgd::step::{self, Concurrency, Schedule, StepRule, Threshold, Weight};
use proptest::prelude::*;

#[test]
fn canonical_forms() {
    for text in [
        "constant",
        "delay-adaptive",
        "koloskova:0.25",
        "drop:4n",
        "drop:2.5n",
        "drop:16",
        "inverse:0.5",
        "budget1:0.5",
        "budget1:0.5,0.9",
        "budget2:2",
        "adadelay:1,0.5",
        "fleet",
        "tail:1",
        "ringmaster:8",
        "ringmaster:1n",
        "delay-adaptive@16",
        "delay-adaptive@online",
        "0.5*delay-adaptive",
        "inverse-time:0.5*drop:4n",
        "0.1*warmup:0.5,inverse-time:2*drop:4n@online",
        "0.00001*warmup:0.5*constant",
        "cosine:10*fleet@3",
        "2*inverse-sqrt:1*constant",
    ] {
        assert_eq!(text.parse::<StepRule>().unwrap().to_string(), text);
    }
    assert_eq!("delay-adaptive".parse::<StepRule>().unwrap(), step::delay_adaptive(1.0));
    assert_eq!("0.1*drop:4n".parse::<StepRule>().unwrap(), step::drop(0.1, Threshold::Concurrencies(4.0)));
    assert_eq!("1*constant*constant".parse::<StepRule>().unwrap(), step::constant(1.0));
    assert_eq!("budget1:0.5,0.85".parse::<Weight>().unwrap().to_string(), "budget1:0.5");
}

#[test]
fn serialises_as_text() {
    let rule = step::drop(0.5, Threshold::Concurrencies(4.0)).schedule(Schedule::Cosine { epochs: 3.0 });
    assert_eq!(serde_json::to_string(&rule).unwrap(), "\"0.5*cosine:3*drop:4n\"");
    assert_eq!(serde_json::to_string(&rule.schedule).unwrap(), "\"cosine:3\"");
    assert_eq!(serde_json::to_string(&rule.weight).unwrap(), "\"drop:4n\"");
}

/// The message, one line.
fn rejected<T: std::str::FromStr<Err = asyncsgd::Error> + std::fmt::Debug>(text: &str, part: &str) {
    let error = text.parse::<T>().expect_err(text);
    assert_eq!(error.exit_code(), 2);
    let message = error.to_string();
    assert!(message.contains(part) && !message.contains('\n'), "{text}: {message}");
}

#[test]
fn errors_name_what_is_wrong_and_list_the_menu() {
    for text in [
        "",
        "delay",
        "Constant",
        "drop16",
        "delay-adaptive:3",
        "drop",
        "drop:n",
        "drop:-4",
        "inverse:",
        "inverse:1,2",
        "adadelay:1",
        "budget1:1,2,3",
        "tail:x",
        "koloskova",
    ] {
        rejected::<Weight>(text, "delay-adaptive, koloskova:L, drop:M");
        rejected::<StepRule>(text, "delay-adaptive, koloskova:L, drop:M");
    }
    for text in [
        "",
        "linear",
        "constant:1",
        "cosine",
        "cosine:x",
        "inverse-time:",
        "warmup",
        "warmup:x,constant",
        "warmup:1,",
    ] {
        rejected::<Schedule>(text, "constant, inverse-time:D, inverse-sqrt:D, cosine:EPOCHS, warmup:");
    }
    for (text, part) in [
        ("inverse:-1", "at least 0"),
        ("inverse:nan", "at least 0"),
        ("koloskova:0", "above 0"),
        ("koloskova:inf", "above 0"),
        ("drop:1.9n", "uneven speeds"),
        ("drop:nann", "at least 2n"),
        ("budget1:0", "above 0"),
        ("budget1:1,1", "between 0 and 1"),
        ("budget2:-1", "above 0"),
        ("adadelay:0,1", "L must be"),
        ("adadelay:1,-1", "L must be"),
        ("tail:0", "amplitude"),
        ("tail:1.5", "amplitude"),
        ("ringmaster:0", "at least 1"),
        ("ringmaster:0n", "above 0"),
    ] {
        rejected::<Weight>(text, part);
    }
    for (text, part) in [
        ("inverse-time:-1", "at least 0"),
        ("inverse-sqrt:inf", "at least 0"),
        ("cosine:0", "above 0"),
        ("warmup:0,constant", "above 0"),
        ("warmup:nan", "above 0"),
        ("warmup:1,warmup:1", "cannot follow"),
    ] {
        rejected::<Schedule>(text, part);
    }
    for (text, part) in [
        ("constant@0", "whole number"),
        ("constant@x", "whole number"),
        ("0*constant", "rate"),
        ("-1*constant", "rate"),
        ("*constant", "missing"),
        ("1**constant", "no such schedule"),
        ("nan*constant", "no such schedule"),
        ("1e999*constant", "rate"),
    ] {
        rejected::<StepRule>(text, part);
    }
}

#[test]
fn resolving_tells_every_problem() {
    let rule = StepRule {
        rate: f64::NAN,
        schedule: Schedule::Cosine { epochs: 0.0 },
        weight: Weight::Drop { threshold: Threshold::Iterations(16) },
        concurrency: Concurrency::Workers,
    };
    let message = rule.stepper(9).unwrap_err().to_string();
    assert_eq!(message.lines().count(), 3, "{message}");
    assert!(message.contains("must be at least 18") && message.contains("mean delay is 8"), "{message}");
    assert!(rule.rate(1.0).schedule(Schedule::Constant).stepper(8).is_ok());
    assert!(step::constant(1.0).stepper(0).is_err());
    assert!(step::constant(1.0).concurrency(0).stepper(1).is_err());
    assert!(step::tail(1.0, 2.0).stepper(1).is_err());
}

fn positive() -> impl Strategy<Value = f64> {
    prop_oneof![1e-6..1e6f64, 1e-300..1e-290f64, (1u32..1000).prop_map(f64::from)]
}

fn threshold(least: f64) -> impl Strategy<Value = Threshold> {
    prop_oneof![(1u64..).prop_map(Threshold::Iterations), (least..1e9f64).prop_map(Threshold::Concurrencies)]
}

fn weight() -> impl Strategy<Value = Weight> {
    prop_oneof![
        Just(Weight::Constant),
        Just(Weight::DelayAdaptive),
        positive().prop_map(|smoothness| Weight::Koloskova { smoothness }),
        threshold(2.0).prop_map(|threshold| Weight::Drop { threshold }),
        positive().prop_map(|exponent| Weight::Inverse { exponent }),
        (positive(), 0.001..0.999f64).prop_map(|(budget, share)| Weight::Budget1 { budget, share }),
        positive().prop_map(|budget| Weight::Budget2 { budget }),
        (positive(), positive()).prop_map(|(smoothness, growth)| Weight::AdaDelay { smoothness, growth }),
        Just(Weight::Fleet),
        (0.001..=1.0f64).prop_map(|amplitude| Weight::Tail { amplitude }),
        threshold(0.1).prop_map(|threshold| Weight::Ringmaster { threshold }),
    ]
}

fn schedule() -> impl Strategy<Value = Schedule> {
    let plain = prop_oneof![
        Just(Schedule::Constant),
        positive().prop_map(|decay| Schedule::InverseTime { decay }),
        positive().prop_map(|decay| Schedule::InverseSqrt { decay }),
        positive().prop_map(|epochs| Schedule::Cosine { epochs }),
    ];
    let warm = (positive(), plain.clone())
        .prop_map(|(epochs, then)| Schedule::WarmUp { epochs, then: Box::new(then) });
    prop_oneof![plain, warm]
}

proptest! {
    #[test]
    fn round_trip(
        rate in positive(), schedule in schedule(), weight in weight(),
        concurrency in prop_oneof![
            Just(Concurrency::Workers), Just(Concurrency::Online), (1usize..).prop_map(Concurrency::Exact)
        ],
    ) {
        prop_assert_eq!(&weight.to_string().parse::<Weight>().unwrap(), &weight);
        prop_assert_eq!(&schedule.to_string().parse::<Schedule>().unwrap(), &schedule);
        let rule = StepRule { rate, schedule, weight, concurrency };
        prop_assert_eq!(rule.to_string().parse::<StepRule>().unwrap(), rule);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[a-z0-9:,.*@ n-]{0,24}") {
        if let Ok(rule) = text.parse::<StepRule>() {
            prop_assert_eq!(rule.to_string().parse::<StepRule>().unwrap(), rule);
        }
    }
}
