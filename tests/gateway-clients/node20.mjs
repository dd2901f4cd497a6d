// What the clients take for granted and Node 20 does not have.
Promise.withResolvers ??= function () {
    let resolve, reject
    const promise = new this((...both) => {
        [resolve, reject] = both
    })
    return { promise, resolve, reject }
}
