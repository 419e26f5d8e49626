//! Kernels for x86-64 with AVX2, FMA and 16-byte compare-exchange.
//!
//! Shared floats are read and written here by inline assembly, because Rust has no vector atomics and compiles
//! a relaxed load of a float as an integer load and a move. What the assembly does is within the atomics' model:
//! an aligned load or store of 4 bytes is single-copy atomic on this architecture ("Guaranteed Atomic
//! Operations", Intel SDM 3A 9.1.1; AMD APM 2 7.3.2), and the compiler, which cannot look into an `asm!` block, must
//! treat it as any code that could do relaxed atomic accesses to that memory.

pub(super) mod dense;

use super::Row;
use std::arch::asm;

/// Whether this machine has all that the kernels use.
pub(super) fn available() -> bool {
    std::arch::is_x86_feature_detected!("avx2")
        && std::arch::is_x86_feature_detected!("fma")
        && std::arch::is_x86_feature_detected!("cmpxchg16b")
}

/// Σ values[k]·cells[ids[k]], eight nonzeros a turn in eight accumulators, each by a load of the id, a load of
/// the cell and a fused multiply-add from memory: three loads a nonzero, which is what the core's load ports
/// bound. AVX2's gather instruction was slower on Zen 3.
///
/// # Safety
/// Every id of the row must be an element of `cells`; the machine must have AVX2 and FMA.
#[inline]
pub(super) unsafe fn gather_dot(cells: *const f32, row: Row<'_>) -> f32 {
    let n = row.len();
    let whole = n & !7;
    let (ids, values) = (row.ids().as_ptr(), row.values().as_ptr());
    let sum: f32;
    // SAFETY: the loop reads ids and values below `n` and cells at those ids, all promised by the caller.
    unsafe {
        asm!(
            "vxorps {s0}, {s0}, {s0}",
            "vxorps {s1}, {s1}, {s1}",
            "vxorps {s2}, {s2}, {s2}",
            "vxorps {s3}, {s3}, {s3}",
            "vxorps {s4}, {s4}, {s4}",
            "vxorps {s5}, {s5}, {s5}",
            "vxorps {s6}, {s6}, {s6}",
            "vxorps {s7}, {s7}, {s7}",
            "xor {k:e}, {k:e}",
            "test {whole}, {whole}",
            "jz 3f",
            "2:",
            "mov {a:e}, [{ids} + 4*{k}]",
            "mov {b:e}, [{ids} + 4*{k} + 4]",
            "vmovss {x}, [{w} + 4*{a}]",
            "vmovss {y}, [{w} + 4*{b}]",
            "vfmadd231ss {s0}, {x}, dword ptr [{v} + 4*{k}]",
            "vfmadd231ss {s1}, {y}, dword ptr [{v} + 4*{k} + 4]",
            "mov {a:e}, [{ids} + 4*{k} + 8]",
            "mov {b:e}, [{ids} + 4*{k} + 12]",
            "vmovss {x}, [{w} + 4*{a}]",
            "vmovss {y}, [{w} + 4*{b}]",
            "vfmadd231ss {s2}, {x}, dword ptr [{v} + 4*{k} + 8]",
            "vfmadd231ss {s3}, {y}, dword ptr [{v} + 4*{k} + 12]",
            "mov {a:e}, [{ids} + 4*{k} + 16]",
            "mov {b:e}, [{ids} + 4*{k} + 20]",
            "vmovss {x}, [{w} + 4*{a}]",
            "vmovss {y}, [{w} + 4*{b}]",
            "vfmadd231ss {s4}, {x}, dword ptr [{v} + 4*{k} + 16]",
            "vfmadd231ss {s5}, {y}, dword ptr [{v} + 4*{k} + 20]",
            "mov {a:e}, [{ids} + 4*{k} + 24]",
            "mov {b:e}, [{ids} + 4*{k} + 28]",
            "vmovss {x}, [{w} + 4*{a}]",
            "vmovss {y}, [{w} + 4*{b}]",
            "vfmadd231ss {s6}, {x}, dword ptr [{v} + 4*{k} + 24]",
            "vfmadd231ss {s7}, {y}, dword ptr [{v} + 4*{k} + 28]",
            "add {k}, 8",
            "cmp {k}, {whole}",
            "jb 2b",
            "vaddss {s0}, {s0}, {s1}",
            "vaddss {s2}, {s2}, {s3}",
            "vaddss {s4}, {s4}, {s5}",
            "vaddss {s6}, {s6}, {s7}",
            "vaddss {s0}, {s0}, {s2}",
            "vaddss {s4}, {s4}, {s6}",
            "vaddss {s0}, {s0}, {s4}",
            "vxorps {s1}, {s1}, {s1}",
            "3:",
            "cmp {k}, {n}",
            "jae 5f",
            "4:",
            "mov {a:e}, [{ids} + 4*{k}]",
            "vmovss {x}, [{w} + 4*{a}]",
            "vfmadd231ss {s1}, {x}, dword ptr [{v} + 4*{k}]",
            "inc {k}",
            "cmp {k}, {n}",
            "jb 4b",
            "5:",
            "vaddss {s0}, {s0}, {s1}",
            k = out(reg) _,
            a = out(reg) _,
            b = out(reg) _,
            ids = in(reg) ids,
            v = in(reg) values,
            w = in(reg) cells,
            n = in(reg) n,
            whole = in(reg) whole,
            s0 = out(xmm_reg) sum,
            s1 = out(xmm_reg) _,
            s2 = out(xmm_reg) _,
            s3 = out(xmm_reg) _,
            s4 = out(xmm_reg) _,
            s5 = out(xmm_reg) _,
            s6 = out(xmm_reg) _,
            s7 = out(xmm_reg) _,
            x = out(xmm_reg) _,
            y = out(xmm_reg) _,
            options(nostack, readonly),
        );
    }
    sum
}

/// cells[id] −= a·value + s·beside[id]·cells[id] for each nonzero of the row, each by plain moves: a load and a store
/// of 4 bytes. In the operations and the order of the scalar loop, so that both give the same bits.
///
/// # Safety
/// Every id of the row must be an element of `cells` and of `beside`; the machine must have AVX.
#[inline]
pub(super) unsafe fn ridge_step(cells: *mut f32, row: Row<'_>, beside: *const f32, a: f32, s: f32) {
    let (n, even) = (row.len(), row.len() & !1);
    // SAFETY: the loop reads ids and values below `n`, and cells and constants at those ids, all promised by the caller.
    unsafe {
        asm!(
            "xor {k:e}, {k:e}",
            "test {even}, {even}",
            "jz 3f",
            "2:",
            "mov {i:e}, [{ids} + 4*{k}]",
            "mov {j:e}, [{ids} + 4*{k} + 4]",
            "vmovss {x}, [{w} + 4*{i}]",
            "vmovss {y}, [{w} + 4*{j}]",
            "vmulss {t}, {s}, dword ptr [{b} + 4*{i}]",
            "vmulss {u}, {s}, dword ptr [{b} + 4*{j}]",
            "vmulss {t}, {t}, {x}",
            "vmulss {u}, {u}, {y}",
            "vmulss {p}, {a}, dword ptr [{v} + 4*{k}]",
            "vmulss {q}, {a}, dword ptr [{v} + 4*{k} + 4]",
            "vaddss {t}, {t}, {p}",
            "vaddss {u}, {u}, {q}",
            "vsubss {x}, {x}, {t}",
            "vsubss {y}, {y}, {u}",
            "vmovss [{w} + 4*{i}], {x}",
            "vmovss [{w} + 4*{j}], {y}",
            "add {k}, 2",
            "cmp {k}, {even}",
            "jb 2b",
            "3:",
            "cmp {k}, {n}",
            "jae 4f",
            "mov {i:e}, [{ids} + 4*{k}]",
            "vmovss {x}, [{w} + 4*{i}]",
            "vmulss {t}, {s}, dword ptr [{b} + 4*{i}]",
            "vmulss {t}, {t}, {x}",
            "vmulss {p}, {a}, dword ptr [{v} + 4*{k}]",
            "vaddss {t}, {t}, {p}",
            "vsubss {x}, {x}, {t}",
            "vmovss [{w} + 4*{i}], {x}",
            "4:",
            k = out(reg) _,
            i = out(reg) _,
            j = out(reg) _,
            ids = in(reg) row.ids().as_ptr(),
            v = in(reg) row.values().as_ptr(),
            w = in(reg) cells,
            b = in(reg) beside,
            n = in(reg) n,
            even = in(reg) even,
            a = in(xmm_reg) a,
            s = in(xmm_reg) s,
            x = out(xmm_reg) _,
            y = out(xmm_reg) _,
            t = out(xmm_reg) _,
            u = out(xmm_reg) _,
            p = out(xmm_reg) _,
            q = out(xmm_reg) _,
            options(nostack),
        );
    }
}

/// Asks for the cache line of `cell` in a state in which it can be written.
#[inline(always)]
pub(super) fn prefetch_write<C>(cell: *const C) {
    // SAFETY: a hint; it neither faults nor changes memory, whatever the address.
    unsafe { asm!("prefetchw [{}]", in(reg) cell, options(nostack, preserves_flags, readonly)) }
}
