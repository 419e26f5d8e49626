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

/// Loads the cells of the four nonzeros from `{k}` + an offset on into a vector: of two ids by one load, and each cell by a
/// load of its own, which is one relaxed atomic load. Overwrites `{a}`, `{b}` and `{c}`.
macro_rules! gather4 {
    ($to:literal, $offset:literal) => {
        concat!(
            "mov {a}, [{ids} + 4*{k} + 4*",
            $offset,
            "]\n",
            "mov {b}, [{ids} + 4*{k} + 4*",
            $offset,
            " + 8]\n",
            "mov {c:e}, {a:e}\n",
            "shr {a}, 32\n",
            "vmovss ",
            $to,
            ", [{w} + 4*{c}]\n",
            "vinsertps ",
            $to,
            ", ",
            $to,
            ", dword ptr [{w} + 4*{a}], 0x10\n",
            "mov {c:e}, {b:e}\n",
            "shr {b}, 32\n",
            "vinsertps ",
            $to,
            ", ",
            $to,
            ", dword ptr [{w} + 4*{c}], 0x20\n",
            "vinsertps ",
            $to,
            ", ",
            $to,
            ", dword ptr [{w} + 4*{b}], 0x30\n",
        )
    };
}

/// Lanes that count of the last eight nonzeros of a row: from its number n on, the last n.
static LAST: [i32; 16] = [0, 0, 0, 0, 0, 0, 0, 0, -1, -1, -1, -1, -1, -1, -1, -1];

/// Σ values[k]·cells[ids[k]], eight nonzeros a turn: cells are put together in vectors, so that there are fewer loads
/// of floats, two a cycle at most, than the two a nonzero of one by one. AVX2's gather instruction was slower on Zen 3.
///
/// The turns are for all but the last one to eight nonzeros. Those come first, as they are the rare ones, whose cache
/// lines may be far: together with such before them that make up eight, which are not counted there. So how long a row
/// is makes no branch but the number of turns.
///
/// # Safety
/// Every id of the row must be an element of `cells`; the machine must have AVX2 and FMA.
#[inline(always)]
pub(super) unsafe fn gather_dot(cells: *const f32, row: Row<'_>) -> f32 {
    let n = row.len();
    let (ids, values) = (row.ids().as_ptr(), row.values().as_ptr());
    let sum: f32;
    if n < 8 {
        // SAFETY: the loop reads ids and values below `n` and cells at those ids, all promised by the caller.
        unsafe {
            asm!(
                "vxorps {s}, {s}, {s}",
                "test {k}, {k}",
                "jz 3f",
                "2:",
                "mov {a:e}, [{ids} + 4*{k} - 4]",
                "vmovss {x}, [{w} + 4*{a}]",
                "vfmadd231ss {s}, {x}, dword ptr [{v} + 4*{k} - 4]",
                "dec {k}",
                "jnz 2b",
                "3:",
                k = inout(reg) n => _,
                a = out(reg) _,
                ids = in(reg) ids,
                v = in(reg) values,
                w = in(reg) cells,
                s = out(xmm_reg) sum,
                x = out(xmm_reg) _,
                options(nostack, readonly),
            );
        }
        return sum;
    }
    let turns = (n - 1) & !7;
    // SAFETY: the code reads ids and values below `n`, which is at least 8, and cells at those ids, all promised by the
    // caller; and eight of LAST from 1 to 8 on.
    unsafe {
        asm!(
            gather4!("{s2}", "0"),
            gather4!("{s3}", "4"),
            "vandps {s2}, {s2}, [{mask}]",
            "vandps {s3}, {s3}, [{mask} + 16]",
            "vmulps {s2}, {s2}, [{v} + 4*{k}]",
            "vmulps {s3}, {s3}, [{v} + 4*{k} + 16]",
            "vxorps {s0}, {s0}, {s0}",
            "vxorps {s1}, {s1}, {s1}",
            "xor {k:e}, {k:e}",
            "test {turns}, {turns}",
            "jz 3f",
            "2:",
            gather4!("{x}", "0"),
            gather4!("{y}", "4"),
            "vfmadd231ps {s0}, {x}, [{v} + 4*{k}]",
            "vfmadd231ps {s1}, {y}, [{v} + 4*{k} + 16]",
            "add {k}, 8",
            "cmp {k}, {turns}",
            "jb 2b",
            "3:",
            "vaddps {s0}, {s0}, {s1}",
            "vaddps {s2}, {s2}, {s3}",
            "vaddps {s0}, {s0}, {s2}",
            "vmovhlps {s1}, {s0}, {s0}",
            "vaddps {s0}, {s0}, {s1}",
            "vmovshdup {s1}, {s0}",
            "vaddss {s0}, {s0}, {s1}",
            k = inout(reg) n - 8 => _,
            a = out(reg) _,
            b = out(reg) _,
            c = out(reg) _,
            ids = in(reg) ids,
            v = in(reg) values,
            w = in(reg) cells,
            mask = in(reg) LAST.as_ptr().add(n - turns),
            turns = in(reg) turns,
            s0 = out(xmm_reg) sum,
            s1 = out(xmm_reg) _,
            s2 = out(xmm_reg) _,
            s3 = out(xmm_reg) _,
            x = out(xmm_reg) _,
            y = out(xmm_reg) _,
            options(nostack, readonly),
        );
    }
    sum
}

/// cells[id] −= a·value + s·beside[id]·cells[id] for each nonzero of the row, four a turn, put together in vectors as in
/// [`gather_dot`]: a load and a store of 4 bytes for each cell. In the operations and the order of the scalar loop, so
/// that both give the same bits.
///
/// # Safety
/// Every id of the row must be an element of `cells` and of `beside`; the machine must have AVX.
#[inline(always)]
pub(super) unsafe fn ridge_step(cells: *mut f32, row: Row<'_>, beside: *const f32, a: f32, s: f32) {
    let (n, fours) = (row.len(), row.len() & !3);
    // SAFETY: the loops read ids and values below `n`, and cells and constants at those ids, all promised by the caller.
    unsafe {
        asm!(
            "xor {k:e}, {k:e}",
            "vshufps {a}, {a}, {a}, 0",
            "vshufps {s}, {s}, {s}, 0",
            "test {fours}, {fours}",
            "jz 3f",
            "2:",
            "mov {h}, [{ids} + 4*{k}]",
            "mov {j}, [{ids} + 4*{k} + 8]",
            "mov {g:e}, {h:e}",
            "shr {h}, 32",
            "mov {i:e}, {j:e}",
            "shr {j}, 32",
            "vmovss {x}, [{w} + 4*{g}]",
            "vinsertps {x}, {x}, dword ptr [{w} + 4*{h}], 0x10",
            "vinsertps {x}, {x}, dword ptr [{w} + 4*{i}], 0x20",
            "vinsertps {x}, {x}, dword ptr [{w} + 4*{j}], 0x30",
            "vmovss {t}, [{b} + 4*{g}]",
            "vinsertps {t}, {t}, dword ptr [{b} + 4*{h}], 0x10",
            "vinsertps {t}, {t}, dword ptr [{b} + 4*{i}], 0x20",
            "vinsertps {t}, {t}, dword ptr [{b} + 4*{j}], 0x30",
            "vmulps {p}, {a}, [{v} + 4*{k}]",
            "vmulps {t}, {s}, {t}",
            "vmulps {t}, {t}, {x}",
            "vaddps {t}, {t}, {p}",
            "vsubps {x}, {x}, {t}",
            "vmovss [{w} + 4*{g}], {x}",
            "vextractps dword ptr [{w} + 4*{h}], {x}, 1",
            "vextractps dword ptr [{w} + 4*{i}], {x}, 2",
            "vextractps dword ptr [{w} + 4*{j}], {x}, 3",
            "add {k}, 4",
            "cmp {k}, {fours}",
            "jb 2b",
            "3:",
            "cmp {k}, {n}",
            "jae 5f",
            "4:",
            "mov {g:e}, [{ids} + 4*{k}]",
            "vmovss {x}, [{w} + 4*{g}]",
            "vmulss {t}, {s}, dword ptr [{b} + 4*{g}]",
            "vmulss {t}, {t}, {x}",
            "vmulss {p}, {a}, dword ptr [{v} + 4*{k}]",
            "vaddss {t}, {t}, {p}",
            "vsubss {x}, {x}, {t}",
            "vmovss [{w} + 4*{g}], {x}",
            "inc {k}",
            "cmp {k}, {n}",
            "jb 4b",
            "5:",
            k = out(reg) _,
            g = out(reg) _,
            h = out(reg) _,
            i = out(reg) _,
            j = out(reg) _,
            ids = in(reg) row.ids().as_ptr(),
            v = in(reg) row.values().as_ptr(),
            w = in(reg) cells,
            b = in(reg) beside,
            n = in(reg) n,
            fours = in(reg) fours,
            a = inout(xmm_reg) a => _,
            s = inout(xmm_reg) s => _,
            x = out(xmm_reg) _,
            t = out(xmm_reg) _,
            p = out(xmm_reg) _,
            options(nostack),
        );
    }
}

/// Asks for the cache line of element `i` of `cells` in a state in which it can be written.
#[inline(always)]
pub(super) fn prefetch_write<C>(cells: *const C, i: usize) {
    // SAFETY: a hint; it neither faults nor changes memory, whatever the address.
    unsafe {
        if size_of::<C>() == 4 {
            asm!("prefetchw [{} + 4*{}]", in(reg) cells, in(reg) i, options(nostack, preserves_flags, readonly));
        } else {
            let cell = cells.wrapping_add(i);
            asm!("prefetchw [{}]", in(reg) cell, options(nostack, preserves_flags, readonly));
        }
    }
}
