//! Steps along dense rows of shared floats together with their shrinking.

use super::update;
use std::arch::asm;
use std::arch::x86_64::{_mm_add_ps, _mm_loadu_ps, _mm_mul_ps, _mm_set1_ps, _mm_sub_ps};

/// cells\[j\] −= a·x\[j\] + s·cells\[j\] in fours, each by one compare-exchange as in [`add4`]; returns how many failed.
///
/// # Safety
/// As for [`axpy4`].
#[inline]
pub(in crate::kernel) unsafe fn ridge4(cells: *mut f32, x: &[[f32; 4]], a: f32, s: f32) -> u64 {
    let mut failed = 0;
    for (four, x) in x.iter().enumerate() {
        // SAFETY: an array of four floats, and SSE is part of x86-64; the caller's promise for the cells.
        failed += unsafe {
            let along = _mm_mul_ps(_mm_set1_ps(a), _mm_loadu_ps(x.as_ptr()));
            update(cells.add(4 * four), |w| _mm_sub_ps(w, _mm_add_ps(along, _mm_mul_ps(_mm_set1_ps(s), w))))
        };
    }
    failed
}

/// cells\[j\] −= a·x\[j\] + s·cells\[j\], each by a load and a store, in the operations of the scalar loop.
///
/// # Safety
/// As for [`axpy`].
#[inline]
pub(in crate::kernel) unsafe fn ridge(cells: *mut f32, x: &[f32], a: f32, s: f32) {
    let n = x.len();
    // SAFETY: offsets below x.len(), in cells and in x.
    unsafe {
        vector_asm!(
            "vbroadcastss ymm0, xmm0",
            "vmovd xmm1, {s:e}",
            "vbroadcastss ymm1, xmm1",
            "xor {i:e}, {i:e}",
            "test {turns}, {turns}",
            "jz 3f",
            "2:",
            "vmovups ymm2, [{w} + 4*{i}]",
            "vmovups ymm3, [{w} + 4*{i} + 32]",
            "vmulps ymm4, ymm0, [{x} + 4*{i}]",
            "vmulps ymm5, ymm0, [{x} + 4*{i} + 32]",
            "vmulps ymm6, ymm1, ymm2",
            "vmulps ymm7, ymm1, ymm3",
            "vaddps ymm4, ymm4, ymm6",
            "vaddps ymm5, ymm5, ymm7",
            "vsubps ymm2, ymm2, ymm4",
            "vsubps ymm3, ymm3, ymm5",
            "vmovups [{w} + 4*{i}], ymm2",
            "vmovups [{w} + 4*{i} + 32], ymm3",
            "add {i}, 16",
            "cmp {i}, {turns}",
            "jb 2b",
            "3:",
            "cmp {i}, {eights}",
            "jae 5f",
            "vmovups ymm2, [{w} + 4*{i}]",
            "vmulps ymm4, ymm0, [{x} + 4*{i}]",
            "vmulps ymm6, ymm1, ymm2",
            "vaddps ymm4, ymm4, ymm6",
            "vsubps ymm2, ymm2, ymm4",
            "vmovups [{w} + 4*{i}], ymm2",
            "add {i}, 8",
            "5:",
            "cmp {i}, {n}",
            "jae 7f",
            "6:",
            "vmovss xmm2, [{w} + 4*{i}]",
            "vmulss xmm4, xmm0, dword ptr [{x} + 4*{i}]",
            "vmulss xmm6, xmm1, xmm2",
            "vaddss xmm4, xmm4, xmm6",
            "vsubss xmm2, xmm2, xmm4",
            "vmovss [{w} + 4*{i}], xmm2",
            "inc {i}",
            "cmp {i}, {n}",
            "jb 6b",
            "7:",
            "vzeroupper",
            i = out(reg) _,
            turns = in(reg) n & !15,
            eights = in(reg) n & !7,
            n = in(reg) n,
            w = in(reg) cells,
            x = in(reg) x.as_ptr(),
            s = in(reg) s.to_bits(),
            inout("xmm0") a => _,
        );
    }
}
