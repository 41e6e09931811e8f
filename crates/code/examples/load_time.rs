//! How long it takes to make a 20 KB image executable, and to give it back: `cargo run --release -p hotevm-code --example load_time`.
//!
//! in   nothing
//! out  two lines: the median of each in microseconds

use std::time::{Duration, Instant};

use hotevm_code::{CodeMemory, Image, Machine};

const ROUNDS: usize = 2001;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let machine = Machine::host().ok_or("no native code on this machine")?;
    let image = Image::from_flat(vec![0xcc; 20 << 10], 16 << 10, 0, 64, machine)?;
    let memory = CodeMemory::new(1 << 30);
    let (mut load, mut unload) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let code = memory.load(&image)?;
        load.push(start.elapsed());
        let start = Instant::now();
        drop(code);
        unload.push(start.elapsed());
    }
    println!("load_us   {:.1}", median_us(load));
    println!("unload_us {:.1}", median_us(unload));
    Ok(())
}

fn median_us(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times.get(times.len() / 2).map_or(0.0, |time| time.as_secs_f64() * 1e6)
}
