//! x
#![allow(clippy::print_stdout)]
use kring_sim::flows::{Case, Party, run};
fn main() {
    let spec: kring_sim::link::Spec = "delay=25,rate=1500,queue=300".parse().unwrap();
    let call = kring_sim::flows::cases::CALL;
    let mut all = vec![];
    for seed in 0..24 {
        let party = |from| Party { from, to: 120, kind: call };
        let case =
            Case { links: [spec.clone(), spec.clone()], parties: vec![party(0), party(10)], seconds: 120 };
        let f = run(&case, seed);
        for d in [0, 1] {
            let [a, b] = [0, 1].map(|w| f[w][d].mean_kbits(80, 120));
            all.push((a / (a + b) * 1000.0) as i32);
        }
    }
    all.sort();
    println!("{all:?}");
}
