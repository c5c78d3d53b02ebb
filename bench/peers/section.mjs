/** A section in a process of its own: what one leaves on the heap is no burden for the next. */
const [name, options] = process.argv.slice(2)
const [file, part] = name.split('.')
const { measure } = await import(`./${file}.mjs`)
process.send(await measure(JSON.parse(options), part), () => process.exit(0))
