# 299 s of 0.36 net/h: 0.0299 net, 0.03588 with tax. The renewal one second later finds nothing.
files: common.toml flat.toml alice.toml
top-up alice 1.00           | 1.000000 0 0
deploy alice vm1 at 0       | 0.568000 0.432000 0
runs alice vm1 at 0         | 0.568000 0.432000 0
destroy alice vm1 at 4:59   | 0.964120 0 0.035880
renew alice at 5            | 0.964120 0 0.035880
