//! What the theory promises of the weights, for any sequence of delays.

use asyncsgd::step::{self, Moment, Schedule, StepRule, Threshold};
use proptest::prelude::*;

fn kept(rule: &StepRule, workers: usize, delays: &[u64]) -> f64 {
    let mut stepper = rule.stepper(workers).unwrap();
    let moments =
        (0..).zip(delays).map(|(iteration, &delay)| Moment { iteration, delay, ..Moment::default() });
    moments.map(|moment| stepper.weight(&moment)).sum::<f64>() / delays.len() as f64
}

fn delays() -> impl Strategy<Value = Vec<u64>> {
    let delay = prop_oneof![0u64..8, 0u64..100, 0u64..1_000_000];
    prop::collection::vec(delay, 1..300)
}

/// The mean of the delays, rounded up.
fn mean(delays: &[u64]) -> usize {
    (delays.iter().sum::<u64>().div_ceil(delays.len() as u64)) as usize
}

proptest! {
    #[test]
    fn damping_keeps_at_least_half_if_c_is_at_least_the_mean_delay(delays in delays()) {
        let c = mean(&delays).max(1);
        prop_assert!(kept(&step::delay_adaptive(0.1).concurrency(c), 2, &delays) >= 0.5);
    }

    #[test]
    fn dropping_above_c_times_the_concurrency_keeps_more_than_one_minus_one_in_c(
        delays in delays(), c in 2u32..20
    ) {
        let n = mean(&delays).max(1);
        let rule = step::drop(0.1, Threshold::Concurrencies(c.into())).concurrency(n);
        prop_assert!(kept(&rule, 2, &delays) >= 1.0 - 1.0 / f64::from(c));
    }

    #[test]
    fn weights_stay_in_range(delays in delays(), workers in 1usize..40, rate in 1e-4..10.0f64) {
        let rules = [
            step::constant(rate), step::delay_adaptive(rate), step::delay_adaptive(rate).online(),
            step::koloskova(rate, 3.0), step::drop(rate, Threshold::Concurrencies(2.0)).online(),
            step::inverse(rate, 0.7), step::fleet(rate), step::fleet(rate).online(), step::tail(rate, 1.0),
            step::ringmaster(rate, Threshold::Concurrencies(1.0)),
        ];
        for rule in rules {
            let most = if rule == step::tail(rate, 1.0) { 2.0 } else { 1.0 };
            let mut stepper = rule.stepper(workers).unwrap();
            for (iteration, &delay) in (0..).zip(&delays) {
                let w = stepper.weight(&Moment { iteration, delay, ..Moment::default() });
                prop_assert!((0.0..=most).contains(&w), "{rule}: {w} at {delay}");
                prop_assert!(stepper.admits(delay) || w == 0.0);
            }
        }
    }

    #[test]
    fn later_never_weighs_more(workers in 1usize..40, delay in 0u64..5000) {
        for rule in [step::delay_adaptive(1.0), step::koloskova(1.0, 0.1), step::inverse(1.0, 0.5), step::fleet(1.0)] {
            let mut stepper = rule.stepper(workers).unwrap();
            let mut at = |delay| stepper.weight(&Moment { delay, ..Moment::default() });
            prop_assert!(at(delay + 1) <= at(delay), "{}", rule);
        }
    }

    /// Wu et al. 2022: no step is taken that exceeds the budget with those between its read and write.
    #[test]
    fn budgets_hold(delays in delays(), share in 0.01..0.99f64) {
        for rule in [step::budget1(0.3, share), step::budget2(0.3)] {
            let mut stepper = rule.stepper(4).unwrap();
            let mut steps: Vec<f64> = Vec::new();
            for (iteration, &delay) in delays.iter().enumerate() {
                let delay = delay.min(iteration as u64);
                let spent = steps[iteration - delay as usize..].iter().sum::<f64>();
                let step = stepper.step(&Moment { iteration: iteration as u64, delay, spent, epoch: 0.0 });
                prop_assert!(step == 0.0 || (step > 0.0 && spent + step <= 0.3 * (1.0 + 1e-8)));
                steps.push(step);
            }
            prop_assert!(steps[0] > 0.0);
        }
    }

    #[test]
    fn schedules_stay_between_0_and_1(epoch in 0.0..1e6f64, a in 1e-3..1e3f64) {
        let plain = [
            Schedule::Constant, Schedule::InverseTime { decay: a }, Schedule::InverseSqrt { decay: a },
            Schedule::Cosine { epochs: a },
        ];
        for schedule in plain {
            prop_assert!((0.0..=1.0).contains(&schedule.factor(epoch)));
            prop_assert!(schedule.factor(epoch + 1.0) <= schedule.factor(epoch));
            let warm = Schedule::WarmUp { epochs: a, then: Box::new(schedule.clone()) };
            prop_assert!((0.0..=1.0).contains(&warm.factor(epoch)));
            prop_assert_eq!(warm.factor(a + epoch), schedule.factor(a + epoch - a));
        }
    }
}

/// A worker that is always late must not find its own delays normal: the mean is over all workers.
#[test]
fn the_online_concurrency_damps_a_straggler() {
    let mut fast = step::delay_adaptive(1.0).online().stepper(8).unwrap();
    let mut straggler = fast.clone();
    let mut last = 0.0;
    for iteration in 0..20_000u64 {
        if iteration % 1000 == 999 {
            last = straggler.weight(&Moment { iteration, delay: 1000, ..Moment::default() });
        } else {
            fast.weight(&Moment { iteration, delay: 7, ..Moment::default() });
        }
    }
    assert!(last < 0.02, "{last}");
}
