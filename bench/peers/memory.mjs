export { measure } from '../memory.mjs'
