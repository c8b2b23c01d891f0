//! Cases of LIBERO-PRO in the terms of this program (`libero_ood/*.yaml` and `envs/robustness_perturbations.py` of its repository). Numbers are its own where it states them; which
//! object changes places, the new goal, the words and the other arena follow rules of this program, the same for every suite.

/// A case and the words of its perturbation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProCase {
    /// Name, for `pro:NAME`.
    pub name: &'static str,
    /// Words for [`Perturbation::parse`](crate::Perturbation::parse).
    pub words: &'static [&'static str],
}

/// All cases.
pub const PRO_CASES: [ProCase; 12] = [
    ProCase {
        name: "swap",
        words: &["layout:swap=true"],
    },
    ProCase {
        name: "object",
        words: &["object:variant=0"],
    },
    ProCase {
        name: "language",
        words: &["language:level=2"],
    },
    ProCase {
        name: "task",
        words: &["goal:variant=0"],
    },
    ProCase {
        name: "environment",
        words: &["background:environment=0"],
    },
    ProCase {
        name: "glare",
        words: &[
            "light:strengths=[0.02, 0.16, 0.01]",
            "sensors:gain=0.68,sigma=12",
        ],
    },
    ProCase {
        name: "camera",
        words: &["camera:pos=[0.48, 0.24, 1.62],quat=[0.6099232, 0.3594558, 0.3594558, 0.6099232]"],
    },
    ProCase {
        name: "object-move",
        words: &["event:kind=target,radius=0.09,latest=160,offset=[0.17, 0.06]"],
    },
    ProCase {
        name: "texture",
        words: &["object:paint=[0.72, 0.63, 0.5]"],
    },
    ProCase {
        name: "occlusion",
        words: &["layout:occluder=true"],
    },
    ProCase {
        name: "shape",
        words: &["object:scale=0.5"],
    },
    ProCase {
        name: "pose",
        words: &["layout:target_offset=[0.17, -0.06],target_yaw=45"],
    },
];

/// The case of a name.
///
/// # Errors
/// What was found, and the names.
pub fn pro_case(name: &str) -> Result<&'static ProCase, String> {
    let found = PRO_CASES.iter().find(|case| case.name == name);
    found.ok_or_else(|| {
        let names = PRO_CASES.map(|case| case.name).join(", ");
        format!("found case `{name}` of LIBERO-PRO, expected one of {names}")
    })
}
