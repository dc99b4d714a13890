# 0.36 net/h and 0.10 net once. Held: 0.432 and 0.12. The job that succeeds accrues the 0.12, the
# one that failed gives it back; renewals leave the one-off row alone.
files: common.toml set-up.toml alice.toml
top-up alice 2.00           | 2.000000 0 0
deploy alice vm1 at 0       | 1.448000 0.552000 0
deploy alice vm2 at 0       | 0.896000 1.104000 0
runs alice vm1 at 0         | 0.896000 0.984000 0.120000
stays alice vm2 at 0        | 1.016000 0.864000 0.120000
renew alice at 5            | 1.412000 0.432000 0.156000
renew alice every 5 from 10 to 55
destroy alice vm1,vm2 at 60 | 1.448000 0 0.552000
document alice at 70 net 0.460000 allowance 0 tax 0.090000 total 0.550000
invoice alice at 70         | 1.450000 0 0
invoice-again alice at 71   | 1.450000 0 0
