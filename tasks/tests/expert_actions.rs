//! Guarantee: the scripted expert's actions are the same to the bit in every version, for each of its
//! skills, also when it resumes. Recorded demonstrations, benchmark episodes and pinned states depend on
//! them. An intended change of the expert changes the hashes below; so does a change of the world, which raises
//! [`bitvla_tasks::WORLD_VERSION`] as well.

use bitvla_tasks::{Assets, Expert, RestingHeight, Suite, TaskError};

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
/// of experts that are made anew every second step, with and without a known resting height.
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
    let mut rest = RestingHeight::new(&world, task)?;
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
    for (task, hash) in expected {
        let (own, _) = episode(&suite, &assets, *task, false)?;
        assert_eq!(own, *hash, "{} {task}: {own:016x}", suite.name);
    }
    Ok(())
}

#[test]
fn resumed_actions_are_pinned() -> Result<(), TaskError> {
    let assets = Assets::open(&Assets::default_dir())?;
    let suite = Suite::load(&assets, "spatial")?;
    let found = episode(&suite, &assets, 0, true)?;
    assert_eq!(
        found,
        (0x02f2_6e8b_9240_aaa1, 0xe7ca_2b66_fdd2_e3d3),
        "{found:016x?}"
    );
    Ok(())
}

/// Stacks a bowl, grasped by its rim.
#[test]
fn actions_in_the_spatial_suite_are_pinned() -> Result<(), TaskError> {
    check(
        "spatial",
        &[(4, 0x59f8_9f42_ccf9_00c8), (8, 0x8ce6_b7e3_6171_638d)],
    )
}

/// Places groceries in a basket.
#[test]
fn actions_in_the_object_suite_are_pinned() -> Result<(), TaskError> {
    check(
        "object",
        &[(0, 0x1d21_7fc4_ba18_c278), (7, 0xc135_8a1c_389c_3859)],
    )
}

/// Opens drawers, places a bottle on a slope, pushes a plate, turns a knob.
#[test]
fn actions_in_the_goal_suite_are_pinned() -> Result<(), TaskError> {
    check(
        "goal",
        &[
            (0, 0x42e5_7584_cd96_c715),
            (1, 0x1cb0_bfe5_02d5_219b),
            (2, 0xf9e0_e0d7_beef_dd66),
            (3, 0x557c_5296_0073_c7b7),
            (5, 0x9e8f_4277_c6f9_785a),
            (7, 0x70cc_ffe9_d290_7b53),
            (9, 0x8bb8_2fb9_c356_f22a),
        ],
    )
}

/// Several subgoals in a row; closes a drawer and a door, inserts into a microwave and into a slot.
#[test]
fn actions_in_the_long_suite_are_pinned() -> Result<(), TaskError> {
    check(
        "long",
        &[
            (2, 0x2601_9972_6808_a1d2),
            (3, 0xb50c_8150_c127_92d1),
            (4, 0x2f90_60a5_d676_db45),
            (5, 0xa884_fa91_b28b_d22c),
            (9, 0x485f_f7f6_1ca0_c6eb),
        ],
    )
}
