/** A section in a process of its own: what one leaves on the heap is no burden for the next. */
const [name, options] = process.argv.slice(2)
const { measure } = await import(`./${name}.mjs`)
process.send(await measure(JSON.parse(options)), () => process.exit(0))
