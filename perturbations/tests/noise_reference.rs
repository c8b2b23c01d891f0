//! Guarantee: every noise kernel is within one of 255 levels of its definition in NumPy and SciPy (`noise_reference.py`, which made the numbers).

use bitvla_perturbations::noise::{
    FloatImage, add_fog, gaussian_blur, glass_blur, motion_blur, plasma, zoom_blur,
};
use serde_json::Value;

#[test]
fn kernels_are_those_of_the_reference() {
    let text = include_str!("data/noise.json");
    let data: Value = serde_json::from_str(text).expect("JSON");
    let number = |value: &Value| value.as_f64().expect("a number");
    let list = |value: &Value| -> Vec<f64> {
        value
            .as_array()
            .expect("a list")
            .iter()
            .map(number)
            .collect()
    };
    let bytes = |value: &Value| -> Vec<u8> { list(value).iter().map(|v| *v as u8).collect() };
    let side = number(&data["side"]) as usize;
    let image = FloatImage::from_bytes(&bytes(&data["image"]), side);
    let cases = data["cases"].as_array().expect("cases");
    assert_eq!(cases.len(), 11);
    for case in cases {
        let field = |name: &str| number(&case[name]);
        let noisy = match case["kind"].as_str().expect("a kind") {
            "gaussian" => gaussian_blur(&image, field("sigma")),
            "motion" => {
                let radius = field("radius") as usize;
                motion_blur(&image, radius, field("sigma"), field("angle"))
            }
            "zoom" => zoom_blur(&image, &list(&case["zooms"])),
            "fog" => {
                let mut draws = list(&case["draws"]).into_iter();
                let mut draw = || draws.next().expect("a draw");
                let fog = plasma(side, field("decay"), &mut draw);
                add_fog(&image, field("strength"), &fog, side)
            }
            "glass" => {
                let pairs = case["swaps"].as_array().expect("swaps").iter().map(list);
                let swaps: Vec<(u32, u32)> = pairs.map(|p| (p[0] as u32, p[1] as u32)).collect();
                glass_blur(&image, field("sigma"), &swaps)
            }
            other => panic!("{other}"),
        };
        let mut found = vec![0; side * side * 3];
        noisy.write_bytes(&mut found);
        let wanted = bytes(&case["pixels"]);
        let largest = found.iter().zip(&wanted).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(largest <= Some(1), "{}: {largest:?}", case["kind"]);
    }
}
