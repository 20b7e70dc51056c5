def show_report(reports, logs):
    for r in reports:
        print(r.name, r.requests, r.refused, r.clients, r.touched, r.second, r.limits[0].worst[:2])
    for l in logs:
        print(l)
