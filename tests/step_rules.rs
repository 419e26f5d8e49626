//! Every rule and schedule against values worked out by hand.

use asyncsgd::step::{self, Moment, Schedule, StepRule, Stepper, Threshold, Weight};

fn close(found: f64, expected: f64, what: &str) {
    assert!((found - expected).abs() <= 1e-12 * expected.abs().max(1.0), "{what}: {found}, not {expected}");
}

/// A gradient of this delay, long after the start.
fn late(delay: u64) -> Moment {
    Moment { iteration: 1_000_000, epoch: 0.0, delay, spent: 0.0 }
}

fn stepper(rule: StepRule, workers: usize) -> Stepper {
    rule.stepper(workers).unwrap()
}

/// (delay, weight) pairs.
fn weights(rule: StepRule, workers: usize, table: &[(u64, f64)]) {
    let mut stepper = stepper(rule.clone(), workers);
    for &(delay, expected) in table {
        close(stepper.weight(&late(delay)), expected, &format!("{rule}, delay {delay}"));
    }
}

fn schedule(schedule: Schedule, table: &[(f64, f64)]) {
    for &(epoch, expected) in table {
        close(schedule.factor(epoch), expected, &format!("{schedule} at {epoch}"));
        let rule = step::constant(0.5).schedule(schedule.clone());
        close(stepper(rule, 1).rate(epoch), 0.5 * expected, "rate");
    }
}

#[test]
fn schedules() {
    schedule(Schedule::Constant, &[(0.0, 1.0), (7.5, 1.0)]);
    schedule(Schedule::InverseTime { decay: 0.5 }, &[(0.0, 1.0), (2.0, 0.5), (6.0, 0.25), (0.5, 0.8)]);
    schedule(Schedule::InverseSqrt { decay: 1.0 }, &[(0.0, 1.0), (3.0, 0.5), (24.0, 0.2)]);
    // cos 0 = 1, cos π/3 = 1/2, cos π/2 = 0, cos 2π/3 = −1/2, then the end.
    schedule(
        Schedule::Cosine { epochs: 6.0 },
        &[(0.0, 1.0), (2.0, 0.75), (3.0, 0.5), (4.0, 0.25), (6.0, 0.0), (60.0, 0.0)],
    );
    let then = Box::new(Schedule::InverseTime { decay: 1.0 });
    schedule(
        Schedule::WarmUp { epochs: 2.0, then },
        &[(0.0, 0.0), (0.5, 0.25), (1.0, 0.5), (2.0, 1.0), (3.0, 0.5), (5.0, 0.25)],
    );
}

#[test]
fn constant() {
    weights(step::constant(0.1), 4, &[(0, 1.0), (3, 1.0), (1_000_000, 1.0)]);
}

#[test]
fn delay_adaptive() {
    weights(
        step::delay_adaptive(0.1),
        4,
        &[(0, 1.0), (3, 1.0), (4, 1.0), (5, 0.8), (8, 0.5), (40, 0.1), (4000, 0.001)],
    );
    weights(step::delay_adaptive(0.1).concurrency(16), 4, &[(16, 1.0), (32, 0.5)]);
}

#[test]
fn koloskova() {
    // 1/(4·L·η) = 1/(4·2·0.0125) = 10: the rate holds up to a delay of 10.
    weights(step::koloskova(0.0125, 2.0), 4, &[(0, 1.0), (10, 1.0), (20, 0.5), (100, 0.1)]);
    // The schedule halves η at epoch 1, so it holds up to 20; γ is 1/(4·2·τ) beyond.
    let rule = step::koloskova(0.0125, 2.0).schedule(Schedule::InverseTime { decay: 1.0 });
    let mut stepper = stepper(rule, 4);
    for (delay, expected) in [(10, 0.00625), (20, 0.00625), (25, 0.005), (50, 0.0025)] {
        close(stepper.step(&Moment { epoch: 1.0, ..late(delay) }), expected, "koloskova");
    }
}

#[test]
fn drop() {
    weights(step::drop(0.1, Threshold::Concurrencies(4.0)), 4, &[(0, 1.0), (16, 1.0), (17, 0.0), (500, 0.0)]);
    weights(step::drop(0.1, Threshold::Iterations(9)), 4, &[(9, 1.0), (10, 0.0)]);
    let rule = step::drop(0.1, Threshold::Iterations(16));
    let mut stepper = stepper(rule, 8);
    assert!(stepper.admits(16) && !stepper.admits(17));
    assert!(stepper.counts_ignored());
    // Twice as many workers would make 16 the mean delay: the threshold rises to 2·16.
    stepper.set_concurrency(16);
    assert!(stepper.admits(32) && !stepper.admits(33));
}

#[test]
fn inverse() {
    weights(step::inverse(0.1, 1.0), 4, &[(0, 1.0), (1, 0.5), (4, 0.2), (9999, 0.0001)]);
    weights(step::inverse(0.1, 0.5), 4, &[(0, 1.0), (3, 0.5), (8, 1.0 / 3.0), (1_000_000 - 1, 0.001)]);
    weights(step::inverse(0.1, 0.0), 4, &[(0, 1.0), (77, 1.0)]);
}

#[test]
fn fleet() {
    // (C + 1)/2 = 2, so β = ln(3)/2: 3^(−τ/2).
    weights(step::fleet(0.1), 3, &[(0, 1.0), (2, 1.0 / 3.0), (4, 1.0 / 9.0), (6, 1.0 / 27.0)]);
    // (C + 1)/2 = 512: 513^(−τ/512), beyond any table of small delays.
    weights(step::fleet(0.1), 1023, &[(512, 1.0 / 513.0), (1024, 1.0 / 263_169.0)]);
}

#[test]
fn budget1() {
    // γ' = 0.4, half of what is left, as a weight on η = 0.1.
    let rule = StepRule::new(0.1, Weight::Budget1 { budget: 0.4, share: 0.5 });
    let mut stepper = stepper(rule, 4);
    assert!(stepper.needs_spent());
    for (spent, step) in [(0.0, 0.2), (0.1, 0.15), (0.3, 0.05), (0.4, 0.0), (0.9, 0.0)] {
        let moment = Moment { spent, ..late(3) };
        close(stepper.weight(&moment), step / 0.1, "budget1 weight");
        close(stepper.step(&moment), step, "budget1 step");
    }
}

#[test]
fn budget2() {
    let mut stepper = stepper(step::budget2(0.6), 4);
    assert!(stepper.needs_spent());
    // (τ, S, γ): 0.6/(τ + 1) where S leaves that much.
    for (delay, spent, step) in
        [(0, 0.0, 0.6), (1, 0.3, 0.3), (2, 0.4, 0.2), (2, 0.41, 0.0), (5, 0.5, 0.1), (5, 0.52, 0.0)]
    {
        close(stepper.step(&Moment { spent, ..late(delay) }), step, "budget2");
    }
}

#[test]
fn adadelay() {
    // 1/(2 + 0.5·√(t + τ)): √16 → 1/4, √36 → 1/5, √100 → 1/7.
    let rule = StepRule::new(0.1, Weight::AdaDelay { smoothness: 2.0, growth: 0.5 });
    let mut stepper = stepper(rule, 4);
    for (iteration, delay, step) in [(0, 0, 0.5), (12, 4, 0.25), (6, 30, 0.2), (100, 0, 1.0 / 7.0)] {
        let moment = Moment { iteration, ..late(delay) };
        close(stepper.step(&moment), step, "adadelay step");
        close(stepper.weight(&moment), step / 0.1, "adadelay weight");
    }
}

#[test]
fn a_schedule_at_zero_stops_the_rules_that_set_the_step() {
    for rule in [step::adadelay(2.0, 0.5), step::budget1(0.4, 0.5), step::budget2(0.4)] {
        let mut stepper = stepper(rule.schedule(Schedule::Cosine { epochs: 1.0 }), 4);
        assert_eq!(stepper.step(&Moment { epoch: 1.0, ..late(3) }), 0.0);
    }
}

#[test]
fn tail() {
    // Two workers: the delays of iterations 20 … 29 are 0, 0, 0, 0, 0, 1, 1, 1, 2, 7.
    let mut mine = stepper(step::tail(0.1, 1.0), 2);
    let mut other = mine.clone();
    let sample = [0, 2, 1, 0, 0, 7, 0, 1, 0, 1];
    for iteration in 0..30 {
        let delay = if iteration < 20 { 50 } else { sample[iteration as usize - 20] };
        // The two take turns; nothing is changed while the sample is taken.
        let stepper = if iteration % 2 == 0 { &mut mine } else { &mut other };
        assert_eq!(stepper.weight(&Moment { iteration, ..late(delay) }), 1.0);
    }
    // Half of the equal ones: F(0) = 0.25, F(1) = 0.65, F(2) = 0.85, F(6) = 0.9, F(7) = 0.95, F(90) = 1; weight
    // 1 + (1 − 2F).
    for stepper in [&mut mine, &mut other] {
        for (delay, expected) in [(0, 1.5), (1, 0.7), (2, 0.3), (6, 0.2), (7, 0.1), (90, 0.0)] {
            close(stepper.weight(&Moment { iteration: 30, ..late(delay) }), expected, "tail");
        }
    }
}

#[test]
fn ringmaster() {
    let mut stepper = stepper(step::ringmaster(0.1, Threshold::Iterations(3)), 4);
    assert!(!stepper.counts_ignored());
    for (delay, expected) in [(0, 1.0), (2, 1.0), (3, 0.0), (9, 0.0)] {
        assert_eq!(stepper.weight(&late(delay)), expected);
        assert_eq!(stepper.admits(delay), expected == 1.0);
    }
    weights(step::ringmaster(0.1, Threshold::Concurrencies(2.0)), 4, &[(7, 1.0), (8, 0.0)]);
}

#[test]
fn online_concurrency_is_one_more_than_the_mean_delay_of_all_workers() {
    let mut fast = stepper(step::delay_adaptive(1.0).online(), 4);
    let mut slow = fast.clone();
    assert_eq!(fast.concurrency(), 4.0);
    // Plain mean first: 2, then (2 + 6)/2 = 4, then (2 + 6 + 1)/3 = 3. The weight is asked before.
    close(fast.weight(&Moment { iteration: 0, ..late(2) }), 1.0, "C = 4");
    close(slow.weight(&Moment { iteration: 1, ..late(6) }), 0.5, "C = 3");
    close(fast.weight(&Moment { iteration: 2, ..late(1) }), 1.0, "C = 5");
    close(slow.concurrency(), 4.0, "C");
    // After the hundredth a hundredth of the way: 3 + (103 − 3)/100 = 4.
    close(slow.weight(&Moment { iteration: 1000, ..late(103) }), 4.0 / 103.0, "C = 4");
    close(fast.concurrency(), 5.0, "C");
    fast.set_concurrency(64);
    close(fast.concurrency(), 5.0, "not for the number of workers to say");
}

#[test]
fn concurrency_follows_the_workers_unless_it_was_demanded() {
    for (rule, expected) in
        [(step::delay_adaptive(1.0), 0.8), (step::delay_adaptive(1.0).concurrency(2), 0.2)]
    {
        let mut stepper = stepper(rule, 4);
        stepper.set_concurrency(8);
        assert_eq!(stepper.weight(&late(10)), expected);
    }
    let mut fleet = stepper(step::fleet(1.0), 40);
    fleet.set_concurrency(3);
    close(fleet.weight(&late(4)), 1.0 / 9.0, "fleet after a change");
}
