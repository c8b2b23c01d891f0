//! Scene variants of LIBERO-plus: scene files that a problem name asks for behind one of LIBERO's names, with other lights
//! or another surface of the table. Their archive keeps them in three places under `scenes`.

use std::path::Path;

/// Candidates for the scene file of a variant, relative to the folder `scenes`.
fn candidates(arena: &str, variant: &str) -> [String; 3] {
    let folder = match arena {
        "table" => "tabletop250",
        "living_room" => "liv250",
        "kitchen" => "kitchen250",
        "study" => "study250",
        _ => "floor250",
    };
    [
        format!("{variant}.xml"),
        format!("lights/{variant}.xml"),
        format!("{folder}/{variant}.xml"),
    ]
}

/// Finds the scene file of a variant, relative to `scenes`, in an asset folder.
///
/// # Errors
/// Says, as the end of a sentence, which files are missing.
pub(crate) fn find(assets: &Path, arena: &str, variant: &str) -> Result<String, String> {
    let lower = variant.to_ascii_lowercase();
    // These change textures of the floor or the walls by names that only LIBERO-plus's Python knows.
    if lower.contains("wall") || lower.starts_with("floor") && !lower.starts_with("floor_light") {
        return Err(format!(
            "; as a scene of LIBERO-plus it asks for other walls or another floor (`{variant}`), which are not supported"
        ));
    }
    let scenes = assets.join("scenes");
    let candidates = candidates(arena, variant);
    let plain = !variant.contains(['/', '\\', '.']);
    match candidates
        .iter()
        .find(|file| plain && scenes.join(file).is_file())
    {
        Some(file) => Ok(file.clone()),
        None => Err(format!(
            "; as a scene of LIBERO-plus it needs one of {} in {}",
            candidates.join(", "),
            scenes.display()
        )),
    }
}
