// All tests that need no service.
import './layout.js'
import './batch.js'
