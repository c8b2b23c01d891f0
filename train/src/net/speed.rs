//! Guarantee: a tiny network's gradient agrees with
//! finite differences. Prints the speed of the shipped size (ignored by default).

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
fn finite_differences_agree() {
    let c = NetConfig {
        image_size: 8,
        patch: 4,
        vision_width: 16,
        vision_ffn: 24,
        vision_layers: 1,
        vision_heads: 2,
        width: 16,
        ffn: 24,
        layers: 1,
        heads: 4,
        kv_heads: 2,
        ..NetConfig::small(12)
    };
    let net = Net::new(c.clone(), Quant::NONE);
    let params = net.layout.init(3);
    let teacher_params = net.layout.init(4);
    let teacher = Teacher {
        params: &teacher_params,
        weight: 0.1,
    };
    let items = items(&c, 2);
    let mut ws = Workspace::default();
    let mut grad = vec![0.0; params.len()];
    let loss = |p: &[f32], ws: &mut Workspace, grad: &mut [f32]| {
        let l = net.train(p, &items, 2, Some(teacher), ws, grad);
        l.l1 + 0.1 * l.aux
    };
    loss(&params, &mut ws, &mut grad);
    for slot in &net.layout.slots {
        // Along the gradient of this tensor the loss must change by its squared norm.
        let range = slot.at..slot.at + slot.len();
        let norm: f64 = grad[range.clone()]
            .iter()
            .map(|g| f64::from(*g).powi(2))
            .sum::<f64>()
            .sqrt();
        if norm < 1e-4 {
            continue;
        }
        let move_by = |h: f64, ws: &mut Workspace| {
            let mut p = params.clone();
            for i in range.clone() {
                p[i] += (h * f64::from(grad[i]) / norm) as f32;
            }
            loss(&p, ws, &mut vec![0.0; p.len()])
        };
        let h = 3e-4;
        let slope = (move_by(h, &mut ws) - move_by(-h, &mut ws)) / (2.0 * h);
        assert!(
            (slope - norm).abs() < 0.05 * norm + 2e-3,
            "{}: {slope} against {norm}",
            slot.name
        );
    }
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
