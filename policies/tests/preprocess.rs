//! Guarantee: the published image pipeline gives the pixels of the published evaluation code, bit for bit: what JPEG
//! leaves, the resize and the crop are equal in a row and each alone on the pixels of the reference, and inputs are
//! equal to the last place. The pictures are in `../shared/golden/bitvla` or `BITVLA_GOLDEN`.

#[path = "common/cases.rs"]
mod cases;

use bitvla_policies::preprocess::{
    ImagePipeline, centre_crop, jpeg_round_trip, normalise, resize_lanczos3,
};
use cases::shared;
use safetensors::SafeTensors;

const CAMERA: usize = 256;
const INPUT: usize = 224;

/// Fails with how many bytes differ and by how much.
fn assert_same(what: &str, ours: &[u8], theirs: &[u8]) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    let differences = ours.iter().zip(theirs).map(|(a, b)| a.abs_diff(*b));
    let count = differences.clone().filter(|d| *d > 0).count();
    let worst = differences.max().unwrap_or(0);
    eprintln!(
        "{what}: {count} of {} differ, by at most {worst}",
        ours.len()
    );
    assert_eq!(count, 0, "{what} differs by up to {worst}");
}

#[test]
#[ignore = "needs ../shared/golden/bitvla: pictures of the reference pipeline"]
fn golden_published_pictures() {
    for dir in shared("preprocess") {
        let bytes = std::fs::read(dir.join("tensors.safetensors")).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let mut tags: Vec<&str> = file
            .names()
            .into_iter()
            .filter_map(|n| n.strip_suffix(".jpeg_decoded"))
            .collect();
        tags.sort_unstable();
        assert!(!tags.is_empty(), "no pictures in {}", dir.display());
        for tag in tags {
            let reference = |stage: &str| file.tensor(&format!("{tag}.{stage}")).unwrap().data();
            let picture = image::open(dir.join(format!("{tag}.png")))
                .unwrap()
                .into_rgb8();
            assert_eq!(
                picture.dimensions(),
                (CAMERA as u32, CAMERA as u32),
                "{tag}"
            );
            let frame: Vec<u8> = picture
                .as_chunks::<3>()
                .0
                .iter()
                .rev()
                .flatten()
                .copied()
                .collect();

            let decoded = jpeg_round_trip(&frame, CAMERA);
            assert_same(&format!("{tag}: jpeg"), &decoded, reference("jpeg_decoded"));
            let alone = resize_lanczos3(reference("jpeg_decoded"), CAMERA, INPUT);
            assert_same(
                &format!("{tag}: resize alone"),
                &alone,
                reference("resized"),
            );
            let alone = centre_crop(reference("resized"), INPUT);
            assert_same(&format!("{tag}: crop alone"), &alone, reference("cropped"));
            let resized = resize_lanczos3(&decoded, CAMERA, INPUT);
            assert_same(
                &format!("{tag}: jpeg and resize"),
                &resized,
                reference("resized"),
            );
            let cropped = centre_crop(&resized, INPUT);
            assert_same(
                &format!("{tag}: all stages"),
                &cropped,
                reference("cropped"),
            );

            let input = ImagePipeline::Published.apply(&frame, INPUT);
            assert_eq!(
                input,
                normalise(&cropped),
                "{tag}: the pipeline is its stages"
            );
            // Stored for one of the pictures.
            if let Ok(wanted) = file.tensor(&format!("{tag}.pixel_values")) {
                let wanted = wanted
                    .data()
                    .as_chunks()
                    .0
                    .iter()
                    .map(|b| f32::from_le_bytes(*b));
                let errors: Vec<f32> = input
                    .iter()
                    .zip(wanted)
                    .map(|(a, b)| (a - b).abs())
                    .collect();
                let worst = errors.iter().copied().fold(0.0, f32::max);
                eprintln!("{tag}: inputs within {worst:e}");
                assert_eq!(errors.len(), 3 * INPUT * INPUT, "{tag}");
                assert!(worst <= f32::EPSILON, "{tag}: inputs differ by {worst}");
            }
        }
    }
}
