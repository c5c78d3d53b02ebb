/** Two sides, one of them active. */
export const icon: string = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">
<rect width="32" height="32" rx="7" fill="#17202b"/>
<path d="M7 21h18" stroke="#8a99ab" stroke-width="4" stroke-linecap="round"/>
<path d="M25 11H9m0 0 5-5m-5 5 5 5" stroke="#5aa9ff" stroke-width="4" stroke-linecap="round" stroke-linejoin="round" fill="none"/>
</svg>
`
