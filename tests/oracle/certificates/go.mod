module diyadm.invalid/certificates

go 1.26.0
