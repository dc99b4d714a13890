# The job fails, the VM is there, stopped: it costs 0.12 net/h. The hold merges into the cover;
# the first renewal lets go what is too much.
files: common.toml stopped.toml alice.toml
top-up alice 1.00           | 1.000000 0 0
deploy alice vm1 at 0       | 0.568000 0.432000 0
stays alice vm1 at 0        | 0.568000 0.432000 0
renew alice at 5            | 0.844000 0.144000 0.012000
destroy alice vm1 at 20     | 0.952000 0 0.048000
deploy alice vm2 at 20      | 0.520000 0.432000 0.048000
nothing alice vm2 at 21     | 0.952000 0 0.048000
