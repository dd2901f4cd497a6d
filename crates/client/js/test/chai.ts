// What the published suite imports from `aegir/chai`: chai with promises, and `to.be.true()`.
import chai from 'chai'
import asPromised from 'chai-as-promised'
import parentheses from 'chai-parentheses'

// In aegir's order.
chai.use(asPromised)
chai.use(parentheses)

export const { expect, assert } = chai
