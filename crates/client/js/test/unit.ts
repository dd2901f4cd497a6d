// All tests that need no service.
import './layout.js'
import './batch.js'
import './decisions.js'
import './transport.js'
import './reading.js'
import './writing.js'
import './blockstore.js'
