//! Dense loops over runs of shared floats: dot, axpy, compare-exchange of four at a time, copy-out.
//!
//! # Why lanes do not tear
//! Vector loads and stores move eight floats at once, and what a lane holds must be a float that somebody
//! stored whole. Rust's model asks no more: to it each loop is one relaxed load or store of 4 bytes for each
//! float, in some order, as relaxed accesses of different cells have none.
//!
//! - Every cell is aligned to 4 bytes, so no lane crosses an aligned 8 or 16 bytes, and none a cache line, wherever
//!   the vector starts.
//! - An aligned access of 16 bytes is a single one on every processor with AVX ("Guaranteed Atomic Operations",
//!   Intel SDM 3A 9.1.1; AMD APM 2 7.3.2).
//! - A wider access, or one that is not aligned, may be done as several. The manuals bound the pieces for integer
//!   accesses only: an aligned 4 or 8 bytes is always one. That the pieces of a vector are no smaller is how every
//!   processor with AVX is made (the data paths to the first-level cache are 16, 32 or 64 bytes wide and lines
//!   arrive whole), and much depends on it already: Java demands that no element of an array tears, and HotSpot
//!   copies `int[]` and references by these instructions.
//! - The compiler cannot look into an `asm!` block, so it can neither split its accesses nor join them with others.
//!
//! The loops use the vector registers by name and clear their upper halves at the end: left dirty they slow the SSE
//! code that follows, four times on Intel's cores.

use std::arch::asm;
use std::arch::x86_64::{
    __m128, __m128i, _mm_add_ps, _mm_castps_si128, _mm_castsi128_ps, _mm_cmpneq_ps, _mm_cvtsi128_si64,
    _mm_loadu_ps, _mm_movemask_ps, _mm_mul_ps, _mm_set_epi64x, _mm_set1_ps, _mm_setzero_ps,
    _mm_unpackhi_epi64,
};

/// An assembly loop that may use all vector registers.
macro_rules! vector_asm {
    ($($part:tt)*) => {
        asm!(
            $($part)*
            out("xmm1") _, out("xmm2") _, out("xmm3") _, out("xmm4") _, out("xmm5") _,
            out("xmm6") _, out("xmm7") _, out("xmm8") _, out("xmm9") _, out("xmm10") _,
            out("xmm11") _, out("xmm12") _, out("xmm13") _, out("xmm14") _, out("xmm15") _,
            options(nostack),
        )
    };
}

mod ridge;

pub(in crate::kernel) use ridge::{ridge, ridge4};

/// Σ x\[j\]·cells\[j\], 32 a turn in four vectors of sums.
///
/// # Safety
/// `cells` must be `x.len()` readable floats; the machine must have AVX2 and FMA.
#[inline]
pub(in crate::kernel) unsafe fn dot(cells: *const f32, x: &[f32]) -> f32 {
    let n = x.len();
    let sum: f32;
    // SAFETY: offsets below x.len(), in cells and in x.
    unsafe {
        vector_asm!(
            "vxorps xmm0, xmm0, xmm0",
            "vxorps xmm1, xmm1, xmm1",
            "vxorps xmm2, xmm2, xmm2",
            "vxorps xmm3, xmm3, xmm3",
            "xor {i:e}, {i:e}",
            "test {turns}, {turns}",
            "jz 3f",
            "2:",
            "vmovups ymm4, [{w} + 4*{i}]",
            "vmovups ymm5, [{w} + 4*{i} + 32]",
            "vmovups ymm6, [{w} + 4*{i} + 64]",
            "vmovups ymm7, [{w} + 4*{i} + 96]",
            "vfmadd231ps ymm0, ymm4, [{x} + 4*{i}]",
            "vfmadd231ps ymm1, ymm5, [{x} + 4*{i} + 32]",
            "vfmadd231ps ymm2, ymm6, [{x} + 4*{i} + 64]",
            "vfmadd231ps ymm3, ymm7, [{x} + 4*{i} + 96]",
            "add {i}, 32",
            "cmp {i}, {turns}",
            "jb 2b",
            "3:",
            "cmp {i}, {eights}",
            "jae 5f",
            "4:",
            "vmovups ymm4, [{w} + 4*{i}]",
            "vfmadd231ps ymm1, ymm4, [{x} + 4*{i}]",
            "add {i}, 8",
            "cmp {i}, {eights}",
            "jb 4b",
            "5:",
            "vaddps ymm0, ymm0, ymm1",
            "vaddps ymm2, ymm2, ymm3",
            "vaddps ymm0, ymm0, ymm2",
            "vextractf128 xmm1, ymm0, 1",
            "vaddps xmm0, xmm0, xmm1",
            "vmovshdup xmm1, xmm0",
            "vaddps xmm0, xmm0, xmm1",
            "vmovhlps xmm1, xmm1, xmm0",
            "vaddss xmm0, xmm0, xmm1",
            "cmp {i}, {n}",
            "jae 7f",
            "6:",
            "vmovss xmm4, [{w} + 4*{i}]",
            "vfmadd231ss xmm0, xmm4, dword ptr [{x} + 4*{i}]",
            "inc {i}",
            "cmp {i}, {n}",
            "jb 6b",
            "7:",
            "vzeroupper",
            i = out(reg) _,
            turns = in(reg) n & !31,
            eights = in(reg) n & !7,
            n = in(reg) n,
            w = in(reg) cells,
            x = in(reg) x.as_ptr(),
            out("xmm0") sum,
        );
    }
    sum
}

/// cells\[j\] += a·x\[j\], each by a load and a store. Multiplied and added as the scalar loop does it, so that both
/// give the same bits.
///
/// # Safety
/// `cells` must be `x.len()` readable and writable floats; the machine must have AVX2.
#[inline]
pub(in crate::kernel) unsafe fn axpy(cells: *mut f32, x: &[f32], a: f32) {
    let n = x.len();
    // SAFETY: offsets below x.len(), in cells and in x.
    unsafe {
        vector_asm!(
            "vbroadcastss ymm0, xmm0",
            "xor {i:e}, {i:e}",
            "test {turns}, {turns}",
            "jz 3f",
            "2:",
            "vmulps ymm1, ymm0, [{x} + 4*{i}]",
            "vmulps ymm2, ymm0, [{x} + 4*{i} + 32]",
            "vmulps ymm3, ymm0, [{x} + 4*{i} + 64]",
            "vmulps ymm4, ymm0, [{x} + 4*{i} + 96]",
            "vaddps ymm1, ymm1, [{w} + 4*{i}]",
            "vaddps ymm2, ymm2, [{w} + 4*{i} + 32]",
            "vaddps ymm3, ymm3, [{w} + 4*{i} + 64]",
            "vaddps ymm4, ymm4, [{w} + 4*{i} + 96]",
            "vmovups [{w} + 4*{i}], ymm1",
            "vmovups [{w} + 4*{i} + 32], ymm2",
            "vmovups [{w} + 4*{i} + 64], ymm3",
            "vmovups [{w} + 4*{i} + 96], ymm4",
            "add {i}, 32",
            "cmp {i}, {turns}",
            "jb 2b",
            "3:",
            "cmp {i}, {eights}",
            "jae 5f",
            "4:",
            "vmulps ymm1, ymm0, [{x} + 4*{i}]",
            "vaddps ymm1, ymm1, [{w} + 4*{i}]",
            "vmovups [{w} + 4*{i}], ymm1",
            "add {i}, 8",
            "cmp {i}, {eights}",
            "jb 4b",
            "5:",
            "cmp {i}, {n}",
            "jae 7f",
            "6:",
            "vmulss xmm1, xmm0, dword ptr [{x} + 4*{i}]",
            "vaddss xmm1, xmm1, dword ptr [{w} + 4*{i}]",
            "vmovss [{w} + 4*{i}], xmm1",
            "inc {i}",
            "cmp {i}, {n}",
            "jb 6b",
            "7:",
            "vzeroupper",
            i = out(reg) _,
            turns = in(reg) n & !31,
            eights = in(reg) n & !7,
            n = in(reg) n,
            w = in(reg) cells,
            x = in(reg) x.as_ptr(),
            inout("xmm0") a => _,
        );
    }
}

/// Copies shared floats out, 32 a turn.
///
/// # Safety
/// `cells` must be `out.len()` readable floats; the machine must have AVX.
#[inline]
pub(in crate::kernel) unsafe fn copy_out(cells: *const f32, out: &mut [f32]) {
    let n = out.len();
    // SAFETY: offsets below out.len(), in cells and in out.
    unsafe {
        vector_asm!(
            "xor {i:e}, {i:e}",
            "test {turns}, {turns}",
            "jz 3f",
            "2:",
            "vmovups ymm0, [{w} + 4*{i}]",
            "vmovups ymm1, [{w} + 4*{i} + 32]",
            "vmovups ymm2, [{w} + 4*{i} + 64]",
            "vmovups ymm3, [{w} + 4*{i} + 96]",
            "vmovups [{out} + 4*{i}], ymm0",
            "vmovups [{out} + 4*{i} + 32], ymm1",
            "vmovups [{out} + 4*{i} + 64], ymm2",
            "vmovups [{out} + 4*{i} + 96], ymm3",
            "add {i}, 32",
            "cmp {i}, {turns}",
            "jb 2b",
            "3:",
            "cmp {i}, {eights}",
            "jae 5f",
            "4:",
            "vmovups ymm0, [{w} + 4*{i}]",
            "vmovups [{out} + 4*{i}], ymm0",
            "add {i}, 8",
            "cmp {i}, {eights}",
            "jb 4b",
            "5:",
            "cmp {i}, {n}",
            "jae 7f",
            "6:",
            "vmovss xmm0, [{w} + 4*{i}]",
            "vmovss [{out} + 4*{i}], xmm0",
            "inc {i}",
            "cmp {i}, {n}",
            "jb 6b",
            "7:",
            "vzeroupper",
            i = out(reg) _,
            turns = in(reg) n & !31,
            eights = in(reg) n & !7,
            n = in(reg) n,
            w = in(reg) cells,
            out = in(reg) out.as_mut_ptr(),
            out("xmm0") _,
        );
    }
}

/// cells\[j\] += a·x\[j\] in fours, each by [`add4`]; returns how many exchanges failed. Fours in which nothing
/// changes are left alone: an exchange costs as much as a hundred additions, and inputs are often mostly zeros.
///
/// # Safety
/// `cells` must be `x.len()` fours as [`add4`] demands them.
#[inline]
pub(in crate::kernel) unsafe fn axpy4(cells: *mut f32, x: &[[f32; 4]], a: f32) -> u64 {
    let mut failed = 0;
    for (four, x) in x.iter().enumerate() {
        // SAFETY: an array of four floats, and SSE is part of x86-64; the caller's promise for the cells.
        failed += unsafe {
            let change = _mm_mul_ps(_mm_set1_ps(a), _mm_loadu_ps(x.as_ptr()));
            // Not equal, rather than larger or smaller: NaN must reach the parameters to be noticed.
            if _mm_movemask_ps(_mm_cmpneq_ps(change, _mm_setzero_ps())) == 0 {
                0
            } else {
                add(cells.add(4 * four), change)
            }
        };
    }
    failed
}

/// Adds to four neighbouring shared floats by one compare-exchange of 16 bytes, repeated until it succeeds;
/// returns how often it failed.
///
/// That the array is elsewhere accessed by 4 bytes is no mixing of sizes in Rust's model: a compare-exchange of
/// 16 bytes that succeeds is four of 4 bytes that succeed with nothing between them, and one that fails is four
/// loads; each is a behaviour that the four relaxed operations already have.
///
/// # Safety
/// `cells` must be four readable and writable floats, 16-byte aligned, that are accessed atomically only; the
/// machine must have `cmpxchg16b`.
#[inline]
pub(in crate::kernel) unsafe fn add4(cells: *mut f32, change: &[f32; 4]) -> u64 {
    // SAFETY: an array of four floats; the caller's promise.
    unsafe { add(cells, _mm_loadu_ps(change.as_ptr())) }
}

/// [`add4`] of a vector.
///
/// # Safety
/// As there.
#[inline(always)]
unsafe fn add(cells: *mut f32, change: __m128) -> u64 {
    // SAFETY: the caller's promise, and SSE is part of x86-64.
    unsafe { update(cells, |old| _mm_add_ps(old, change)) }
}

/// Stores `new` in four neighbouring shared floats if they hold `old` to the bit, by one compare-exchange as in
/// [`add4`]; returns whether they did.
///
/// # Safety
/// As there.
#[inline]
pub(in crate::kernel) unsafe fn replace4(cells: *mut f32, old: &[f32; 4], new: &[f32; 4]) -> bool {
    // SAFETY: arrays of four floats, SSE2 is part of x86-64, and the caller's promise.
    unsafe {
        let (mut low, mut high) = halves(_mm_loadu_ps(old.as_ptr()));
        exchange(cells, (&mut low, &mut high), _mm_loadu_ps(new.as_ptr()))
    }
}

/// Makes `step` of what four neighbouring shared floats hold their content, as [`add4`] does it.
///
/// # Safety
/// As there.
#[inline(always)]
unsafe fn update(cells: *mut f32, step: impl Fn(__m128) -> __m128) -> u64 {
    let mut failed = 0;
    let (mut low, mut high): (u64, u64);
    // SAFETY: the caller's promise. The two loads need not be one: the exchange checks all 16 bytes.
    unsafe {
        asm!("mov {0}, [{2}]", "mov {1}, [{2} + 8]", out(reg) low, out(reg) high, in(reg) cells,
            options(nostack, preserves_flags, readonly));
    }
    loop {
        // SAFETY: SSE2 is part of x86-64; the caller's promise.
        let done = unsafe {
            let old = _mm_castsi128_ps(_mm_set_epi64x(high as i64, low as i64));
            exchange(cells, (&mut low, &mut high), step(old))
        };
        if done {
            return failed;
        }
        failed += 1;
    }
}

/// The two halves of four floats.
#[inline(always)]
fn halves(four: __m128) -> (u64, u64) {
    // SAFETY: SSE2 is part of x86-64.
    unsafe {
        let four: __m128i = _mm_castps_si128(four);
        (_mm_cvtsi128_si64(four) as u64, _mm_cvtsi128_si64(_mm_unpackhi_epi64(four, four)) as u64)
    }
}

/// One compare-exchange of four floats; where it fails, the two halves become what is there.
///
/// # Safety
/// As for [`add4`].
#[inline(always)]
unsafe fn exchange(cells: *mut f32, (low, high): (&mut u64, &mut u64), new: __m128) -> bool {
    let exchanged: u8;
    // SAFETY: the caller's promise. rbx, which the instruction wants, is not ours to name as an operand, but "reg" may
    // stand for it: so whatever is used between the exchange and its undoing is in a register with a name.
    unsafe {
        let (new_low, new_high) = halves(new);
        asm!(
            "xchg {new_low}, rbx",
            "lock cmpxchg16b [rdi]",
            "sete r8b",
            "mov rbx, {new_low}",
            new_low = inout(reg) new_low => _,
            in("rdi") cells,
            in("rcx") new_high,
            inout("rax") *low,
            inout("rdx") *high,
            out("r8b") exchanged,
            options(nostack),
        );
    }
    exchanged != 0
}
