//! Row C10: the events of a run lead to its final state.

use bartizan_breaker::{Breaker, Consecutive, Mode, State};
use conformance::{F, I, REFERENCE, RULELESS, Rig, S, T, in_every_mode, secs, throttled};
use std::time::Duration;

/// Plays at random, also with the handle, and looks after every step.
async fn run(rig: &mut Rig, dice: &mut fastrand::Rng) {
    let (mut started, mut now) = (Vec::new(), 0);
    // Long runs of good or bad calls, so that it trips and recovers.
    let mut health = 50;
    for _ in 0..400 {
        match dice.u8(0..100) {
            0..5 => health = dice.u8(0..=100),
            5..60 => {
                let bad = [F, F, T, throttled(Some(secs(2.0))), I];
                let call = if dice.u8(0..100) < health { S } else { bad[dice.usize(0..5)] };
                let call = call.lasting(Duration::from_millis(60 * dice.u64(0..2)));
                let _ = rig.call(call).await;
            }
            60..70 => started.extend(rig.start(if dice.bool() { S } else { F })),
            70..80 if !started.is_empty() => started.swap_remove(dice.usize(0..started.len())).end(),
            80..84 if !started.is_empty() => drop(started.swap_remove(dice.usize(0..started.len()))),
            84..96 => {
                now = now.max(rig.elapsed().as_millis() as u64) + dice.u64(0..4000);
                rig.at(Duration::from_millis(now)).await;
            }
            96 => rig.handle().force_open_for(Duration::from_millis(dice.u64(0..5000))),
            97 => rig
                .handle()
                .set_mode(*dice.choice(&[Mode::ForcedOpen, Mode::Disabled, Mode::Shadow]).unwrap()),
            98 => rig.handle().reset(),
            99 => drop(rig.handle().half_open()),
            _ => rig.handle().resume(),
        }
        let state = rig.state();
        match rig.events().last() {
            Some(event) => {
                let to = event.split(" > ").nth(1).and_then(|to| to.split(": ").next());
                assert_eq!(to, Some(state.as_str()), "the last event tells the state");
            }
            None => assert_eq!(state, State::Closed),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn c10_events_in_order() {
    for (n, value) in [
        REFERENCE,
        REFERENCE.strict_probes(true).mode(Mode::Shadow),
        RULELESS.consecutive(Consecutive::new(3)).probes(1).ramp(secs(5.0)),
        Breaker::new().seed(0xc10),
    ]
    .into_iter()
    .enumerate()
    {
        for seed in 0..10 {
            println!("value {n}, seed {seed}");
            let changes = &std::cell::Cell::new(0);
            in_every_mode(value, async |rig| {
                run(rig, &mut fastrand::Rng::with_seed(seed)).await;
                changes.set(changes.get() + rig.events().len());
            })
            .await;
            assert!(changes.get() > 60, "value {n}, seed {seed}: only {} changes", changes.get());
        }
    }
}
