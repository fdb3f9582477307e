FROM mcr.microsoft.com/dotnet/sdk:10.0 AS build
WORKDIR /src
COPY . .
RUN for program in Environmentd Clusterd; do dotnet publish src/$program -c Release -o /app --use-current-runtime --no-self-contained -p:PublishReadyToRun=true || exit 1; done

FROM mcr.microsoft.com/dotnet/aspnet:10.0
RUN apt-get update && apt-get install -y --no-install-recommends libsqlite3-0 && rm -rf /var/lib/apt/lists/*
COPY --from=build /app /app
EXPOSE 6875 6876 6877 6878
ENTRYPOINT ["/app/environmentd"]
