//! Guarantee: the scripted expert's actions are the same to the bit in every version, for each of its
//! skills, also when it resumes. Recorded demonstrations, benchmark episodes and pinned states depend on
//! them. An intended change of the expert changes the hashes below; so does a change of the world, which raises
//! [`bitvla_tasks::WORLD_VERSION`] as well.

use bitvla_tasks::{Assets, Expert, RestingHeights, Suite, TaskError};

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
    let mut rest = RestingHeights::new(&world);
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
        (0xc403_3363_f0fd_9496, 0xf82b_8956_296a_9d65),
        "{found:016x?}"
    );
    Ok(())
}

/// Stacks a bowl, grasped by its rim.
#[test]
fn actions_in_the_spatial_suite_are_pinned() -> Result<(), TaskError> {
    check(
        "spatial",
        &[(4, 0xe238_fad0_1d99_9a90), (8, 0x0370_284a_f2fa_5f31)],
    )
}

/// Places groceries in a basket.
#[test]
fn actions_in_the_object_suite_are_pinned() -> Result<(), TaskError> {
    check(
        "object",
        &[(0, 0x4ba4_b8c9_2109_1e71), (7, 0x8601_7405_81e4_017d)],
    )
}

/// Opens drawers, places a bottle on a slope, pushes a plate, turns a knob.
#[test]
fn actions_in_the_goal_suite_are_pinned() -> Result<(), TaskError> {
    check(
        "goal",
        &[
            (0, 0x287c_b950_0f25_3f8d),
            (1, 0x711e_be2e_84af_4d69),
            (2, 0x1846_83db_68a4_0b07),
            (3, 0x2763_d4c7_0366_2ef7),
            (5, 0xec28_7e5b_2ed7_a260),
            (7, 0x4fdd_0d06_de5a_2639),
            (9, 0xaa18_bd1d_07b5_9239),
        ],
    )
}

/// Several subgoals in a row; closes a drawer and a door, inserts into a microwave and into a slot.
#[test]
fn actions_in_the_long_suite_are_pinned() -> Result<(), TaskError> {
    check(
        "long",
        &[
            (2, 0xad8b_6ddd_bf47_c9d1),
            (3, 0xe158_d888_ca03_4579),
            (4, 0xee82_1725_7b75_0f01),
            (5, 0x08e7_6992_f959_ab54),
            (9, 0x147f_2635_b304_3ac4),
        ],
    )
}
