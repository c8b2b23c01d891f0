//! Guarantee: the scripted expert's actions are the same to the bit in every version, for each of its
//! skills, also when it resumes. Recorded demonstrations, benchmark episodes and pinned states depend on
//! them. An intended change of the expert changes the hashes below; so does a change of the world, which raises
//! [`bitvla_tasks::WORLD_VERSION`] as well.

use bitvla_tasks::{Assets, Expert, RestingPositions, Suite, TaskError};

/// Control steps beyond success: the actions in them are pinned as well.
const AFTER_SUCCESS: usize = 40;

/// FNV-1a, 64 bits.
#[derive(Clone)]
struct Hash(u64);

impl Hash {
    fn new() -> Hash {
        Hash(0xcbf2_9ce4_8422_2325)
    }

    /// Adds the little-endian bits of each component.
    fn add(&mut self, action: &[f64; 7]) {
        for component in action {
            for byte in component.to_bits().to_le_bytes() {
                self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
    }
}

/// Runs an episode from the first initial state of a task. Returns the hash of the expert's actions and, if `resume`, that
/// of experts that are made anew every second step, with and without a known resting position.
fn episode(
    suite: &Suite,
    assets: &Assets,
    task: usize,
    resume: bool,
) -> Result<(u64, u64), TaskError> {
    let task = &suite.tasks[task];
    let mut world = task.world(assets, &task.init_states[0])?;
    for _ in 0..suite.settle_steps {
        world.step(&[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0])?;
    }
    let goal = task.compile_goal(&world)?;
    let mut expert = Expert::new(&world, task)?;
    let mut rest = RestingPositions::new(&world);
    let (mut own, mut resumed) = (Hash::new(), Hash::new());
    let mut left = AFTER_SUCCESS;
    let mut success = false;
    for step in 0..suite.horizon {
        if resume && step % 2 == 0 {
            // Once the goal holds there is nothing to resume.
            for expert in [
                Expert::resume_knowing(&world, task, &rest),
                Expert::resume(&world, task),
            ] {
                resumed.add(&expert.map_or([9.0; 7], |mut e| e.act(&world)));
            }
        }
        let action = expert.act(&world);
        own.add(&action);
        world.step(&action)?;
        rest.observe(&world);
        success |= goal.holds(&world);
        if success {
            if left == 0 {
                break;
            }
            left -= 1;
        }
    }
    assert!(success, "{}", task.instruction);
    Ok((own.0, resumed.0))
}

fn check(suite: &str, expected: &[(usize, u64)]) -> Result<(), TaskError> {
    let assets = Assets::open(&Assets::default_dir())?;
    let suite = Suite::load(&assets, suite)?;
    let mut found = Vec::new();
    for (task, _) in expected {
        found.push((*task, episode(&suite, &assets, *task, false)?.0));
    }
    assert_eq!(found, expected, "{}: {found:#018x?}", suite.name);
    Ok(())
}

#[test]
fn resumed_actions_are_pinned() -> Result<(), TaskError> {
    let assets = Assets::open(&Assets::default_dir())?;
    let suite = Suite::load(&assets, "spatial")?;
    let found = episode(&suite, &assets, 0, true)?;
    assert_eq!(
        found,
        (0x1df4_6347_0d53_9e0b, 0x9eb7_2982_b6c6_04c4),
        "{found:016x?}"
    );
    Ok(())
}

/// Stacks a bowl, grasped by its rim.
#[test]
fn actions_in_the_spatial_suite_are_pinned() -> Result<(), TaskError> {
    check(
        "spatial",
        &[(4, 0x36b9_3258_cdb3_46b9), (8, 0x6f98_fe36_115b_ba37)],
    )
}

/// Places groceries in a basket.
#[test]
fn actions_in_the_object_suite_are_pinned() -> Result<(), TaskError> {
    check(
        "object",
        &[(0, 0x8bc6_49f5_451c_d6b3), (7, 0xd1b3_f1a9_5bdd_e945)],
    )
}

/// Opens drawers, places a bottle on a slope, pushes a plate, turns a knob.
#[test]
fn actions_in_the_goal_suite_are_pinned() -> Result<(), TaskError> {
    check(
        "goal",
        &[
            (0, 0x646f_9b93_f3f1_93d8),
            (1, 0x992c_a159_1ff9_42e4),
            (2, 0x8f0d_5b27_e23c_9e7c),
            (3, 0xa3bf_80ac_36c9_93ed),
            (5, 0x8d31_b482_eda3_6321),
            (7, 0xd87e_16d2_9a99_7e77),
            (9, 0xf3b6_7925_cde4_750b),
        ],
    )
}

/// Several subgoals in a row; closes a drawer and a door, inserts into a microwave and into a slot.
#[test]
fn actions_in_the_long_suite_are_pinned() -> Result<(), TaskError> {
    check(
        "long",
        &[
            (2, 0x5dc9_3fda_c9b0_9aa4),
            (3, 0xc2c3_31c7_7f3d_fdeb),
            (4, 0x2351_4d76_69ae_7cb9),
            (5, 0xec45_7558_6502_18d7),
            (9, 0x2ece_53b4_b625_a7bf),
        ],
    )
}
