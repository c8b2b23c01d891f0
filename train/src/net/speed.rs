//! Prints the speed of the shipped size; run with `--include-ignored --nocapture` on an idle machine.

use super::*;

fn noise(n: usize, seed: u32) -> Vec<f32> {
    let mut s = seed.wrapping_mul(2_654_435_761) | 1;
    (0..n)
        .map(|_| {
            s = s.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (s >> 8) as f32 / 8_388_608.0 - 1.0
        })
        .collect()
}

fn items(c: &NetConfig, n: usize) -> Vec<Item> {
    (0..n)
        .map(|i| {
            let mut prompt = vec![c.bos_token];
            prompt.extend(vec![c.image_token; c.images * c.patches()]);
            prompt.push(c.proprio_token);
            prompt.extend(5..5 + 3 + i as u32 % 2);
            Item {
                images: noise(c.images * 3 * c.image_size * c.image_size, i as u32 + 1),
                prompt,
                proprio: noise(c.proprio, 77 + i as u32),
                target: noise(c.placeholders(), 99 + i as u32),
            }
        })
        .collect()
}

#[test]
#[ignore = "prints speed, asserts nothing"]
fn samples_per_second() {
    let c = NetConfig::small(64);
    for quant in [Quant::NONE, Quant::ALL] {
        let net = Net::new(c.clone(), quant);
        let params = net.layout.init(1);
        let mut eff = Vec::new();
        net.layout.effective(&params, quant, &mut eff);
        let items = items(&c, 4);
        let mut ws = Workspace::default();
        let mut grad = vec![0.0; params.len()];
        net.train(&eff, &items, 4, None, &mut ws, &mut grad);
        let start = std::time::Instant::now();
        for _ in 0..10 {
            net.train(&eff, &items, 4, None, &mut ws, &mut grad);
        }
        let rate = 40.0 / start.elapsed().as_secs_f64();
        println!(
            "{} parameters, {quant:?}: {rate:.1} samples/s on one thread",
            params.len()
        );
    }
}
