"""The steps of the search for the best modules, compiled."""
# mypy: ignore-errors

import numpy as np
from numba import njit


@njit(cache=True)
def rng_next(state):
    # xorshift64*
    x = state[0]
    x ^= x >> np.uint64(12)
    x ^= x << np.uint64(25)
    x ^= x >> np.uint64(27)
    state[0] = x
    return x * np.uint64(2685821657736338717)


@njit(cache=True)
def rand_int(state, n):
    return np.int64((rng_next(state) >> np.uint64(11)) % np.uint64(n))


@njit(cache=True)
def rand_float(state):
    return (rng_next(state) >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@njit(cache=True, fastmath=False)
def rebuild(B, labels, pull, size):
    n = len(labels)
    k = labels.max() + 1
    pull[: k + 1] = 0.0
    size[: k + 1] = 0
    for j in range(n):
        c = labels[j]
        size[c] += 1
        for i in range(n):
            pull[c, i] += B[j, i]
    return k


@njit(cache=True)
def move(B, labels, pull, size, k, i, d):
    """move unit i to d (d == k: a new module). B has zero diagonal. Returns k."""
    c = labels[i]
    n = len(labels)
    if d == k:
        k += 1
        size[d] = 0
        for j in range(n):
            pull[d, j] = 0.0
    labels[i] = d
    size[d] += 1
    size[c] -= 1
    Bi, pc, pd = B[i], pull[c], pull[d]
    for j in range(n):
        b = Bi[j]
        pc[j] -= b
        pd[j] += b
    if size[c] == 0:
        k -= 1
        if c != k:
            size[c] = size[k]
            pl = pull[k]
            for j in range(n):
                pc[j] = pl[j]
                if labels[j] == k:
                    labels[j] = c
    return k


@njit(cache=True)
def local_moves(B, labels, pull, size, k, order, state, tol):
    """Sweep until no unit gains by moving. Returns (k, rise/2)."""
    n = len(labels)
    rise = 0.0
    quiet = 0
    pos = 0
    # random order
    for i in range(n - 1, 0, -1):
        j = rand_int(state, i + 1)
        t = order[i]
        order[i] = order[j]
        order[j] = t
    while quiet < n:
        i = order[pos]
        pos += 1
        if pos == n:
            pos = 0
        c = labels[i]
        own = pull[c, i]
        best, to = own + tol, c
        for d in range(k):
            g = pull[d, i]
            if g > best and d != c:
                best, to = g, d
        if size[c] > 1 and best < 0.0:
            best, to = 0.0, k
        if to != c:
            rise += best - own
            k = move(B, labels, pull, size, k, i, to)
            quiet = 0
        else:
            quiet += 1
    return k, rise


@njit(cache=True)
def merges(B, labels, pull, size, k, tol):
    """Merge pairs of modules while it pays. link[c,d] = sum_{i in c} pull[d,i]"""
    n = len(labels)
    rise = 0.0
    link = np.zeros((k, k))
    for i in range(n):
        c = labels[i]
        for d in range(k):
            link[c, d] += pull[d, i]
    merged = False
    while k > 1:
        best, bc, bd = tol, -1, -1
        for c in range(k):
            for d in range(c):
                if link[c, d] > best:
                    best, bc, bd = link[c, d], c, d
        if bc < 0:
            break
        # bc into bd ; last takes number bc
        merged = True
        rise += best
        for i in range(n):
            if labels[i] == bc:
                labels[i] = bd
        size[bd] += size[bc]
        for j in range(n):
            pull[bd, j] += pull[bc, j]
        for e in range(k):
            link[bd, e] += link[bc, e]
        for e in range(k):
            link[e, bd] += link[e, bc]
        k -= 1
        if bc != k:
            size[bc] = size[k]
            for j in range(n):
                pull[bc, j] = pull[k, j]
                if labels[j] == k:
                    labels[j] = bc
            for e in range(k + 1):
                link[bc, e] = link[k, e]
            for e in range(k + 1):
                link[e, bc] = link[e, k]
    return k, rise, merged


@njit(cache=True)
def descend(B, labels, pull, size, k, order, state, tol):
    rise = 0.0
    while True:
        k, r = local_moves(B, labels, pull, size, k, order, state, tol)
        rise += r
        k, r, merged = merges(B, labels, pull, size, k, tol)
        rise += r
        if not merged:
            return k, rise


@njit(cache=True)
def q_of(B, labels, pull):
    s = 0.0
    for i in range(len(labels)):
        s += pull[labels[i], i]
    return s


@njit(cache=True)
def perturb(B, labels, pull, size, k, state, kind, strength):
    n = len(labels)
    if kind == 0 and k > 1:  # two modules mixed at random
        c = rand_int(state, k)
        d = rand_int(state, k - 1)
        if d >= c:
            d += 1
        for i in range(n):
            if labels[i] == c or labels[i] == d:
                labels[i] = c if rand_float(state) < 0.5 else d
        return rebuild_safe(B, labels, pull, size)
    if kind == 1:  # a share scattered
        for i in range(n):
            if rand_float(state) < strength:
                labels[i] = rand_int(state, k)
        return rebuild_safe(B, labels, pull, size)
    if kind == 2:  # new module grown around a unit
        i = rand_int(state, n)
        m = 2 + rand_int(state, max(1, n // (k + 1)))
        row = B[i].copy()
        row[i] = 1e300
        top = np.argsort(-row)[:m]
        for j in top:
            labels[j] = k
        return rebuild_safe(B, labels, pull, size)
    if kind == 3 and k > 1:  # merge two, then a random halving... = 0
        c = rand_int(state, k)
        # dissolve a module: each unit to its best other one
        for i in range(n):
            if labels[i] == c:
                best, to = -1e300, -1
                for d in range(k):
                    if d != c and pull[d, i] > best:
                        best, to = pull[d, i], d
                labels[i] = to
        return rebuild_safe(B, labels, pull, size)
    # split a module by random
    c = rand_int(state, k)
    for i in range(n):
        if labels[i] == c and rand_float(state) < 0.5:
            labels[i] = k
    return rebuild_safe(B, labels, pull, size)


@njit(cache=True)
def rebuild_safe(B, labels, pull, size):
    n = len(labels)
    # compact labels
    new = np.full(n + 1, -1)
    k = 0
    for i in range(n):
        if new[labels[i]] < 0:
            new[labels[i]] = k
            k += 1
        labels[i] = new[labels[i]]
    return rebuild(B, labels, pull, size)


@njit(cache=True)
def best_of_rounds(matrix, seed, rounds):
    n = len(matrix)
    state = np.empty(1, np.uint64)
    state[0] = np.uint64(seed) | np.uint64(1)
    labels = np.arange(n)
    pull = np.zeros((n + 2, n))
    size = np.zeros(n + 2, np.int64)
    order = np.arange(n)
    k = rebuild(matrix, labels, pull, size)
    k, _ = descend(matrix, labels, pull, size, k, order, state, 1e-12)
    q = q_of(matrix, labels, pull)
    best = labels.copy()
    for r in range(rounds):
        labels[:] = best
        k = rebuild(matrix, labels, pull, size)
        kind = rand_int(state, 5)
        k = perturb(matrix, labels, pull, size, k, state, kind, 0.2)
        k, _ = descend(matrix, labels, pull, size, k, order, state, 1e-12)
        q2 = q_of(matrix, labels, pull)
        if q2 > q + 1e-12:
            q = q2
            best[:] = labels
    return best, q
